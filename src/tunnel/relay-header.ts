import { createHmac, timingSafeEqual } from "node:crypto";
import { type Malformed, malformed } from "../base/mod.ts";

/**
 * What a proxy says before a connection that it relays to Auth: where the
 * client is. Authentic by a key that Auth gives to each proxy; the octets after
 * it are the client's own TLS.
 */

/** No TLS record begins so. */
const MAGIC = Uint8Array.from([0x91, 0x76, 0x6e, 0x72, 0x6c]); // "\x91vnrl"
const VERSION = 1;
const HOST_ID_LEN = 16;
const FIXED_LEN = MAGIC.length + 1 + HOST_ID_LEN + 8 + 1;
const MAC_LEN = 16;
/** `[v6]:port` at its longest. */
const MAX_ADDRESS = 64;
/** As Node names the peer of a connection, with a scope where there is one. */
const ADDRESS = /^[0-9a-f.:[\]]+(?:%[\w.-]+\]?)?:\d{1,5}$/i;
export const MAX_RELAY_HEADER = FIXED_LEN + MAX_ADDRESS + MAC_LEN;

export interface RelayHeader {
  /** The proxy's uuid. */
  readonly hostId: string;
  /** When the proxy wrote it, milliseconds since 1970. */
  readonly timeMs: number;
  /** `address:port`. */
  readonly client: string;
}

/** The key of one proxy, from Auth's own. */
export function relayKeyOf(secret: Uint8Array, hostId: string): Uint8Array {
  return createHmac("sha256", secret).update(`tp-relay/1\0${hostId}`).digest();
}

export function encodeRelayHeader(key: Uint8Array, { hostId, timeMs, client }: RelayHeader): Uint8Array {
  const address = Buffer.from(client, "latin1").subarray(0, MAX_ADDRESS);
  const header = Buffer.alloc(FIXED_LEN + address.length);
  header.set(MAGIC);
  header[MAGIC.length] = VERSION;
  header.write(hostId.replaceAll("-", ""), MAGIC.length + 1, "hex");
  header.writeBigUInt64BE(BigInt(timeMs), FIXED_LEN - 9);
  header[FIXED_LEN - 1] = address.length;
  header.set(address, FIXED_LEN);
  return Buffer.concat([header, macOf(key, header)]);
}

/** Whether the first octet is that of a relay's header and not that of TLS. */
export function beginsRelayHeader(first: number): boolean {
  return first === MAGIC[0];
}

/** The fields, and how long the header is; `isRelayHeaderGenuine` follows once the key is known. */
export function decodeRelayHeader(
  bytes: Uint8Array,
): { header: RelayHeader; length: number } | "incomplete" | Malformed {
  for (let i = 0; i < Math.min(bytes.length, MAGIC.length); i++) {
    if (bytes[i] !== MAGIC[i]) return malformed("relay.magic");
  }
  if (bytes.length > MAGIC.length && bytes[MAGIC.length] !== VERSION) return malformed("relay.version");
  if (bytes.length < FIXED_LEN) return "incomplete";
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const addressLen = bytes[FIXED_LEN - 1]!;
  if (addressLen > MAX_ADDRESS) return malformed("relay.address");
  const length = FIXED_LEN + addressLen + MAC_LEN;
  if (bytes.length < length) return "incomplete";
  const client = buffer.toString("latin1", FIXED_LEN, FIXED_LEN + addressLen);
  if (!ADDRESS.test(client)) return malformed("relay.address");
  const timeMs = Number(buffer.readBigUInt64BE(FIXED_LEN - 9));
  return { header: { hostId: uuidAt(buffer, MAGIC.length + 1), timeMs, client }, length };
}

/** `bytes` is the whole header, as `length` says. In constant time. */
export function isRelayHeaderGenuine(key: Uint8Array, bytes: Uint8Array): boolean {
  const end = bytes.length - MAC_LEN;
  return timingSafeEqual(macOf(key, bytes.subarray(0, end)), bytes.subarray(end));
}

function macOf(key: Uint8Array, signed: Uint8Array): Buffer {
  return createHmac("sha256", key).update(signed).digest().subarray(0, MAC_LEN);
}

function uuidAt(buffer: Buffer, offset: number): string {
  const hex = buffer.toString("hex", offset, offset + HOST_ID_LEN);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
