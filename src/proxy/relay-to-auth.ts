import { connect, type Socket } from "node:net";
import type { HostPort } from "../api/mod.ts";
import { type Clock, type Counters, type Logger, messageOf } from "../base/mod.ts";
import { relay } from "../tunnel/mod.ts";
import type { ClientAddresses } from "./client-addresses.ts";
import { AUTH_DIAL_MS, MAX_API_RELAYS } from "./limits.ts";

/** Carries the API to Auth as it came: TLS ends there, not here. Before it goes where the client is. */
export class AuthRelay {
  readonly #auth: HostPort;
  readonly #clients: Pick<ClientAddresses, "header">;
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #log: Logger;
  /** How to cut each. */
  readonly #open = new Map<Socket, () => void>();

  constructor(
    auth: HostPort,
    clients: Pick<ClientAddresses, "header">,
    tools: { clock: Clock; counters: Counters; log: Logger },
  ) {
    this.#auth = auth;
    this.#clients = clients;
    this.#clock = tools.clock;
    this.#counters = tools.counters;
    this.#log = tools.log;
  }

  get open(): number {
    return this.#open.size;
  }

  /** Takes over a paused socket whose ClientHello is unread. `from`: where the client is, if not at its other end. */
  handle(client: Socket, from = `${client.remoteAddress ?? "unknown"}:${client.remotePort ?? 0}`): void {
    if (this.#open.size >= MAX_API_RELAYS) {
      this.#counters.count("api.too-many");
      client.destroy();
      return;
    }
    this.#counters.count("api.relays");
    void this.#relay(client, from);
  }

  /** Cuts all; clients connect again elsewhere. */
  close(): void {
    for (const cut of this.#open.values()) cut();
  }

  async #relay(client: Socket, from: string): Promise<void> {
    const upstream = await this.#dial(client);
    if (upstream === undefined) return;
    const header = await this.#clients.header(from).catch((error: unknown) => {
      this.#log.warn({ error: messageOf(error) }, "Auth gives this proxy no key to relay with");
      return undefined;
    });
    if (header === undefined || client.destroyed) {
      this.#open.delete(client);
      client.destroy();
      upstream.destroy();
      return;
    }
    upstream.write(header);
    const { cut } = relay(client, upstream, () => this.#open.delete(client));
    this.#open.set(client, cut);
  }

  /** A connection to Auth; `undefined` when there is none, or nobody waits for it any more. */
  #dial(client: Socket): Promise<Socket | undefined> {
    const { promise, resolve } = Promise.withResolvers<Socket | undefined>();
    const { host, port = 0 } = this.#auth;
    const upstream = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const giveUp = () => {
      timer.cancel();
      this.#open.delete(client);
      client.destroy();
      upstream.destroy();
      resolve(undefined);
    };
    const onError = (error: Error) => {
      this.#counters.count("api.dial-failed");
      this.#log.warn({ auth: `${host}:${port}`, error: error.message }, "the Auth Service cannot be reached");
      giveUp();
    };
    const timer = this.#clock.after(AUTH_DIAL_MS, () => onError(new Error("no answer in time")));
    this.#open.set(client, giveUp);
    client.once("close", giveUp);
    upstream.on("error", onError);
    upstream.once("connect", () => {
      timer.cancel();
      client.off("close", giveUp);
      upstream.off("error", onError);
      resolve(upstream);
    });
    return promise;
  }
}
