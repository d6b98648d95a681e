import { createCipheriv, createDecipheriv } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { type Malformed, malformed } from "../base/mod.ts";
import { MAX_ROUTE } from "./limits.ts";

/**
 * What is said on a data connection before it carries a client: GREETING
 * (agent), ROUTE (proxy), ACCEPT or DECLINE (agent). Plain TCP, sealed with
 * AES-256-GCM under the control connection's exporter, so only the two ends of
 * that control connection can say it. Afterwards the octets are the client's
 * own TLS.
 */

/** No TLS record begins so (its first octet is 20 to 24), no HTTP method, no SSH. */
const MAGIC = Uint8Array.from([0x91, 0x76, 0x6e, 0x65, 0x74]); // "\x91vnet"
const VERSION = 1;
export const CONTROL_ID_LEN = 16;
const TAG_LEN = 16;
const HEADER_LEN = MAGIC.length + 1 + CONTROL_ID_LEN + 8;
export const GREETING_LEN = HEADER_LEN + TAG_LEN;
const ANSWER_LEN = 1 + TAG_LEN;
export const EXPORTER_LABEL = "EXPORTER-tp-data/1";
const KEY_LEN = 32;

/** Place of a message in the nonce: never two with the same number, direction and index. */
const GREETING = { direction: 0, index: 0 };
const ROUTE = { direction: 1, index: 0 };
const ANSWER = { direction: 0, index: 1 };
type Place = typeof GREETING;

/** ALPN of a data connection that is nested in TLS: for middleboxes that let nothing else pass. */
export const DATA_ALPN = "tp-data/1";

/** What the proxy says about a relayed connection. Only the session is checked again, against the certificate. */
export interface Route {
  readonly sessionId: string;
  readonly app: string;
  readonly clientAddress: string;
  /** To a leaf's proxy: the agent process that the token asks for, 16 hexadecimal digits. Absent: any. */
  readonly instance?: string;
}

/** To a leaf's proxy: the connection is for its cluster's API. */
export interface ApiRoute {
  readonly api: true;
  readonly clientAddress: string;
}

export interface Greeting {
  readonly controlId: string;
  /** Chosen by the agent, once for each control connection. */
  readonly number: number;
}

/** The key that both ends of a control connection share (RFC 8446 §7.5). */
export function dataKey(control: TLSSocket): Uint8Array {
  return control.exportKeyingMaterial(KEY_LEN, EXPORTER_LABEL, Buffer.alloc(0));
}

/** Whether a connection that begins so is a data connection. */
export function beginsData(bytes: Uint8Array): boolean | "incomplete" {
  const length = Math.min(bytes.length, MAGIC.length);
  for (let i = 0; i < length; i++) if (bytes[i] !== MAGIC[i]) return false;
  return length === MAGIC.length || "incomplete";
}

export function encodeGreeting(key: Uint8Array, greeting: Greeting): Uint8Array {
  const header = Buffer.alloc(HEADER_LEN);
  header.set(MAGIC);
  header[MAGIC.length] = VERSION;
  header.write(greeting.controlId, MAGIC.length + 1, "hex");
  header.writeBigUInt64BE(BigInt(greeting.number), HEADER_LEN - 8);
  return Buffer.concat([header, seal(key, greeting.number, GREETING, Buffer.alloc(0), header)]);
}

/** Reads a greeting's fields; `isGreetingGenuine` follows once the key is known. */
export function decodeGreeting(bytes: Uint8Array): Greeting | "incomplete" | Malformed {
  if (beginsData(bytes) === false) return malformed("data.magic");
  if (bytes.length > MAGIC.length && bytes[MAGIC.length] !== VERSION) return malformed("data.version");
  if (bytes.length < GREETING_LEN) return "incomplete";
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const number = buffer.readBigUInt64BE(HEADER_LEN - 8);
  if (number > BigInt(Number.MAX_SAFE_INTEGER)) return malformed("data.number");
  const controlId = buffer.toString("hex", MAGIC.length + 1, MAGIC.length + 1 + CONTROL_ID_LEN);
  return { controlId, number: Number(number) };
}

export function isGreetingGenuine(key: Uint8Array, greeting: Greeting, bytes: Uint8Array): boolean {
  const header = bytes.subarray(0, HEADER_LEN);
  return open(key, greeting.number, GREETING, bytes.subarray(HEADER_LEN, GREETING_LEN), header) !== undefined;
}

export function encodeRoute(key: Uint8Array, number: number, route: Route | ApiRoute): Uint8Array {
  const sealed = seal(key, number, ROUTE, Buffer.from(JSON.stringify(route)));
  const length = Buffer.alloc(2);
  length.writeUInt16BE(sealed.length);
  return Buffer.concat([length, sealed]);
}

/** A whole ROUTE at the beginning of `bytes`; `length` counts its octets. */
export function decodeRoute(
  key: Uint8Array,
  number: number,
  bytes: Uint8Array,
): { route: Route | ApiRoute; length: number } | "incomplete" | Malformed {
  if (bytes.length < 2) return "incomplete";
  const length = 2 + bytes[0]! * 256 + bytes[1]!;
  if (length > MAX_ROUTE || length <= 2 + TAG_LEN) return malformed("data.route-length");
  if (bytes.length < length) return "incomplete";
  const plain = open(key, number, ROUTE, bytes.subarray(2, length));
  if (plain === undefined) return malformed("data.route-seal");
  const route = parseRoute(plain);
  return "malformed" in route ? route : { route, length };
}

/** What a genuine proxy of a newer version adds is ignored. */
function parseRoute(plain: Buffer): Route | ApiRoute | Malformed {
  let value: Partial<Record<keyof (Route & ApiRoute), unknown>> | null;
  try {
    value = JSON.parse(plain.toString()) as typeof value;
  } catch {
    return malformed("data.route-syntax");
  }
  const { api, sessionId, app, clientAddress, instance } = value ?? {};
  if (api === true && typeof clientAddress === "string") return { api, clientAddress };
  if (typeof sessionId !== "string" || !/^[0-9a-f]{32}$/.test(sessionId)) return malformed("data.route-session");
  if (typeof app !== "string" || typeof clientAddress !== "string") return malformed("data.route-syntax");
  if (instance === undefined) return { sessionId, app, clientAddress };
  if (typeof instance !== "string" || !/^[0-9a-f]{16}$/.test(instance)) return malformed("data.route-instance");
  return { sessionId, app, clientAddress, instance };
}

export function encodeAnswer(key: Uint8Array, number: number, accepted: boolean): Uint8Array {
  return seal(key, number, ANSWER, Buffer.of(accepted ? 1 : 0));
}

export function decodeAnswer(
  key: Uint8Array,
  number: number,
  bytes: Uint8Array,
): { accepted: boolean } | "incomplete" | Malformed {
  if (bytes.length < ANSWER_LEN) return "incomplete";
  // The client speaks first on the relayed connection: more octets cannot be here yet.
  if (bytes.length > ANSWER_LEN) return malformed("data.answer-length");
  const plain = open(key, number, ANSWER, bytes);
  return plain === undefined ? malformed("data.answer-seal") : { accepted: plain[0] === 1 };
}

function nonceOf(number: number, place: Place): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(BigInt(number));
  nonce[8] = place.direction;
  nonce[11] = place.index;
  return nonce;
}

function seal(key: Uint8Array, number: number, place: Place, plain: Uint8Array, aad?: Uint8Array): Buffer {
  const cipher = createCipheriv("aes-256-gcm", key, nonceOf(number, place));
  if (aad) cipher.setAAD(aad);
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** `undefined` where the tag does not fit. */
function open(key: Uint8Array, number: number, place: Place, sealed: Uint8Array, aad?: Uint8Array): Buffer | undefined {
  const split = sealed.length - TAG_LEN;
  const decipher = createDecipheriv("aes-256-gcm", key, nonceOf(number, place), { authTagLength: TAG_LEN });
  if (aad) decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(split));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, split)), decipher.final()]);
  } catch {
    return undefined;
  }
}
