import { connect, type Socket } from "node:net";
import type { HostPort } from "../api/mod.ts";
import type { Clock, Counters, Logger } from "../base/mod.ts";
import { relay } from "../tunnel/mod.ts";
import { AUTH_DIAL_MS, MAX_API_RELAYS } from "./limits.ts";

/** Carries the API to Auth as it came: TLS ends there, not here. */
export class AuthRelay {
  readonly #auth: HostPort;
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #log: Logger;
  readonly #open = new Set<() => void>();

  constructor(auth: HostPort, tools: { clock: Clock; counters: Counters; log: Logger }) {
    this.#auth = auth;
    this.#clock = tools.clock;
    this.#counters = tools.counters;
    this.#log = tools.log;
  }

  get open(): number {
    return this.#open.size;
  }

  /** Takes over a paused socket whose ClientHello is unread. */
  handle(client: Socket): void {
    if (this.#open.size >= MAX_API_RELAYS) {
      this.#counters.count("api.too-many");
      client.destroy();
      return;
    }
    this.#counters.count("api.relays");
    const { host, port = 0 } = this.#auth;
    const upstream = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const cut = () => {
      upstream.destroy();
      client.destroy();
    };
    const forget = this.#remember(cut);
    const timer = this.#clock.after(AUTH_DIAL_MS, () => upstream.destroy(new Error("no answer in time")));
    client.once("close", cut);
    upstream.on("error", (error) => {
      this.#counters.count("api.dial-failed");
      this.#log.warn({ auth: `${host}:${port}`, error: error.message }, "the Auth Service cannot be reached");
    });
    upstream.once("close", () => {
      timer.cancel();
      cut();
      forget();
    });
    upstream.once("connect", () => {
      timer.cancel();
      upstream.removeAllListeners("error").on("error", () => {});
      relay(client, upstream);
    });
  }

  /** Cuts all; clients connect again elsewhere. */
  close(): void {
    for (const cut of this.#open) cut();
  }

  #remember(cut: () => void): () => void {
    this.#open.add(cut);
    return () => this.#open.delete(cut);
  }
}
