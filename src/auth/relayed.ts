import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { z } from "zod";
import { lockInForce } from "../access/mod.ts";
import { AccessDeniedError } from "../api/mod.ts";
import { isMalformed } from "../base/mod.ts";
import type { CallContext, ResponseOf } from "../rpc/mod.ts";
import { type Backend, KeyExistsError } from "../storage/mod.ts";
import { peekSocket, relayHeader } from "../tunnel/mod.ts";
import type { Core } from "./core.ts";
import { Documents, versioned } from "./documents.ts";
import { RELAY_HEADER_MS, RELAY_SKEW_MS } from "./limits.ts";

const schema = versioned({ secret: z.base64() });
const SECRET_LEN = 32;

/**
 * Whose connections proxies relay: the client's address, on the word of a
 * proxy that proves itself. A stolen proxy key can lie about addresses; it
 * could as well dial from anywhere.
 */
export class RelayedConnections {
  readonly #core: Core;
  readonly #secret: Uint8Array;

  private constructor(core: Core, secret: Uint8Array) {
    this.#core = core;
    this.#secret = secret;
  }

  static async open(core: Core, backend: Backend): Promise<RelayedConnections> {
    const documents = new Documents(backend, "relay", schema);
    const fresh = { v: 1 as const, secret: randomBytes(SECRET_LEN).toString("base64") };
    await documents.create(["secret"], fresh).catch((error: unknown) => {
      if (!(error instanceof KeyExistsError)) throw error;
    });
    const stored = (await documents.get("secret"))?.value ?? fresh;
    return new RelayedConnections(core, Buffer.from(stored.secret, "base64"));
  }

  /** For a proxy: by what it proves that a header is its own. */
  key({ caller }: CallContext): ResponseOf<"proxy.relay_key"> {
    if (caller.kind !== "host" || !caller.roles.includes("Proxy")) throw new AccessDeniedError("this is for proxies");
    const key = relayHeader.relayKeyOf(this.#secret, caller.hostId);
    return { key: Buffer.from(key).toString("base64") };
  }

  /**
   * Looks at the beginning of a connection, which is paused. The peer's own
   * address where TLS begins at once, the client's behind a header;
   * `undefined`, and it is to be closed, where the header is not to be believed.
   */
  async addressOf(socket: Socket): Promise<string | undefined> {
    const { clock, log } = this.#core;
    const own = ownAddress(socket);
    const first = await peekSocket(socket, clock, {
      timeoutMs: RELAY_HEADER_MS,
      maxLen: relayHeader.MAX_RELAY_HEADER,
      parse: (bytes) => (relayHeader.beginsRelayHeader(bytes[0]!) ? decoded(bytes) : { client: own }),
    });
    if (isMalformed(first)) return undefined;
    if (!("length" in first)) return first.client;
    const bytes = socket.read(first.length) as Buffer;
    const reason = await this.#objection(first.header, bytes);
    if (reason === undefined) return first.header.client;
    log.warn({ proxy: first.header.hostId, from: own, reason }, "a relayed connection was refused");
    return undefined;
  }

  async #objection({ hostId, timeMs }: relayHeader.RelayHeader, bytes: Uint8Array): Promise<string | undefined> {
    const now = this.#core.clock.wallMs();
    if (!relayHeader.isRelayHeaderGenuine(relayHeader.relayKeyOf(this.#secret, hostId), bytes)) {
      return "the header is not of that proxy: was the cluster made anew?";
    }
    if (Math.abs(now - timeMs) > RELAY_SKEW_MS) return "the header is old: are the clocks right?";
    const locked = lockInForce(await this.#core.store.list("lock"), { serverId: hostId }, now);
    return locked && "the proxy is locked";
  }
}

function decoded(bytes: Uint8Array) {
  return relayHeader.decodeRelayHeader(bytes);
}

function ownAddress({ remoteAddress = "unknown", remotePort = 0 }: Socket): string {
  return `${remoteAddress}:${remotePort}`;
}
