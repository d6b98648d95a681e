import { createHmac, timingSafeEqual } from "node:crypto";
import { assert, encodeUtf8, isMalformed, type Malformed, malformed } from "../base/mod.ts";
import { TOKEN_LEN } from "./limits.ts";

export const LINK_ALPN = "tp-link/1";
const PREFIX = "r1.";
const MAC_LEN = 16;
const MAC_LABEL = encodeUtf8("tp-route/1\0");
/** The instance field of a token that any agent of the app may take. */
export const ANY_INSTANCE = "0000000000000000";

/**
 * Says in a ClientHello which app session a connection belongs to, once. It
 * keeps strangers from waking agents; nothing is granted on its strength.
 */
export interface RouteToken {
  /** 32 hexadecimal digits. */
  readonly sessionId: string;
  /** 16 hexadecimal digits: the agent process, or ANY_INSTANCE. */
  readonly instance: string;
  readonly counter: number;
  readonly mac: Uint8Array;
}

/** The second ALPN entry of a link's ClientHello. `routeKey` has 32 octets. */
export function encodeRouteToken(fields: Omit<RouteToken, "mac">, cluster: string, routeKey: Uint8Array): string {
  const body = bodyOf(fields);
  return PREFIX + Buffer.concat([body, macOf(body, cluster, routeKey)]).toString("base64url");
}

/** The one route entry of an ALPN list. */
export function routeTokenOf(alpn: readonly string[]): RouteToken | Malformed {
  const entries = alpn.filter((name) => name.startsWith(PREFIX));
  if (entries.length !== 1) return malformed(entries.length === 0 ? "route.missing" : "route.two");
  const text = entries[0]!.slice(PREFIX.length);
  const bytes = Buffer.from(text, "base64url");
  // The decoder skips what it does not know: only the canonical form is one token.
  if (bytes.length !== TOKEN_LEN || bytes.toString("base64url") !== text) return malformed("route.syntax");
  const counter = bytes.readBigUInt64BE(24);
  if (counter > BigInt(Number.MAX_SAFE_INTEGER)) return malformed("route.counter");
  return {
    sessionId: bytes.toString("hex", 0, 16),
    instance: bytes.toString("hex", 16, 24),
    counter: Number(counter),
    mac: bytes.subarray(32),
  };
}

export function isRouteTokenGenuine(token: RouteToken, cluster: string, routeKey: Uint8Array): boolean {
  return timingSafeEqual(token.mac, macOf(bodyOf(token), cluster, routeKey));
}

/** The session that a link's ClientHello names, if it offers a link at all. */
export function linkSessionOf(alpn: readonly string[]): string | Malformed {
  if (!alpn.includes(LINK_ALPN)) return malformed("route.no-link");
  const token = routeTokenOf(alpn);
  return isMalformed(token) ? token : token.sessionId;
}

function bodyOf(fields: Omit<RouteToken, "mac">): Buffer {
  const body = Buffer.alloc(32);
  assert(body.write(fields.sessionId, 0, "hex") === 16, "a session id is 32 hexadecimal digits");
  assert(body.write(fields.instance, 16, "hex") === 8, "an instance is 16 hexadecimal digits");
  body.writeBigUInt64BE(BigInt(fields.counter), 24);
  return body;
}

function macOf(body: Uint8Array, cluster: string, routeKey: Uint8Array): Buffer {
  const hmac = createHmac("sha256", routeKey).update(MAC_LABEL).update(cluster).update("\0").update(body);
  return hmac.digest().subarray(0, MAC_LEN);
}
