import type { Duplex } from "node:stream";
import type { Clock } from "../base/mod.ts";
import { type RpcClient, tcpDial } from "../rpc/mod.ts";
import { relayHeader } from "../tunnel/mod.ts";
import { AUTH_DIAL_MS } from "./limits.ts";

/** Tells Auth where the clients are whose connections come from this proxy. */
export class ClientAddresses {
  readonly #o: { hostId: string; rpc: RpcClient; clock: Clock };
  #key: Promise<Uint8Array> | undefined;

  constructor(options: { hostId: string; rpc: RpcClient; clock: Clock }) {
    this.#o = options;
  }

  /** What goes before the first octet to Auth. `client`: `address:port`. Rejects where Auth gives no key. */
  async header(client: string): Promise<Uint8Array> {
    const { hostId, clock } = this.#o;
    this.#key ??= this.#fetch();
    return relayHeader.encodeRelayHeader(await this.#key, { hostId, timeMs: clock.wallMs(), client });
  }

  /** A connection to Auth in the name of a client of the web pages. */
  async dial(authAddress: string, client: string, signal: AbortSignal): Promise<Duplex> {
    const [header, socket] = await Promise.all([this.header(client), tcpDial(authAddress)(signal)]);
    socket.write(header);
    return socket;
  }

  async #fetch(): Promise<Uint8Array> {
    try {
      const { key } = await this.#o.rpc.call("proxy.relay_key", {}, { timeoutMs: AUTH_DIAL_MS });
      return Buffer.from(key, "base64");
    } catch (error) {
      this.#key = undefined; // The next connection asks again.
      throw error;
    }
  }
}
