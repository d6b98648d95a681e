import { formatIp, isMalformed, type Malformed, malformed, parseIp } from "../base/mod.ts";
import { MAX_PROXY_HEADER } from "./limits.ts";

/** Where a client is. */
export interface PeerAddress {
  readonly address: string;
  readonly port: number;
}

/** The header that a balancer puts before a client's octets (HAProxy's "The PROXY protocol", versions 1 and 2). */
export interface ProxyHeader {
  /** Octets; the client's follow. */
  readonly length: number;
  /** `undefined` where the balancer speaks for itself (a health check), or does not know. */
  readonly from: PeerAddress | undefined;
}

const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
const V1_PREFIX = Buffer.from("PROXY ");
/** Octets of the longest header of version 1, its end of line included (section 2.1). */
const MAX_V1_LEN = 107;
/** Signature, version and command, family and transport, length. */
const V2_FIXED_LEN = 16;

/** Whether `bytes` begin so, as far as they go; `"incomplete"`: they may yet. */
export function beginsProxyHeader(bytes: Uint8Array): boolean | "incomplete" {
  const whole = [SIGNATURE, V1_PREFIX].find((prefix) => bytes.length >= prefix.length && startsWith(bytes, prefix));
  if (whole !== undefined) return true;
  const part = [SIGNATURE, V1_PREFIX].some((prefix) => bytes.length < prefix.length && startsWith(prefix, bytes));
  return part ? "incomplete" : false;
}

/** Reads the header at the beginning of `bytes`, which are hostile. Addresses are copied. */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeader | "incomplete" | Malformed {
  const begins = beginsProxyHeader(bytes);
  if (begins === "incomplete") return begins;
  if (!begins) return malformed("proxy-header.absent");
  return bytes[0] === SIGNATURE[0] ? parseV2(bytes) : parseV1(bytes);
}

/** Section 2.2. What follows the addresses (TLVs) is skipped. */
function parseV2(bytes: Uint8Array): ProxyHeader | "incomplete" | Malformed {
  if (bytes.length < V2_FIXED_LEN) return "incomplete";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [command, family] = [bytes[12]!, bytes[13]!];
  const rest = view.getUint16(14);
  if (command >> 4 !== 2 || (command & 0xf) > 1) return malformed("proxy-header.version");
  if (V2_FIXED_LEN + rest > MAX_PROXY_HEADER) return malformed("proxy-header.too-long");
  const length = V2_FIXED_LEN + rest;
  if (bytes.length < length) return "incomplete";
  // LOCAL: the address block, whatever it is, says nothing. UNSPEC: nor does it.
  if ((command & 0xf) === 0 || family === 0x00) return { length, from: undefined };
  const addressLen = family === 0x11 ? 4 : family === 0x21 ? 16 : undefined;
  if (addressLen === undefined) return malformed("proxy-header.family");
  if (rest < 2 * addressLen + 4) return malformed("proxy-header.truncated");
  const address = formatIp(bytes.slice(V2_FIXED_LEN, V2_FIXED_LEN + addressLen));
  return { length, from: { address, port: view.getUint16(V2_FIXED_LEN + 2 * addressLen) } };
}

/** Section 2.1. */
function parseV1(bytes: Uint8Array): ProxyHeader | "incomplete" | Malformed {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, MAX_V1_LEN)).toString("latin1");
  const end = text.indexOf("\r\n");
  if (end < 0) return text.length < MAX_V1_LEN ? "incomplete" : malformed("proxy-header.too-long");
  const length = end + 2;
  const line = text.slice(0, end);
  if (line === "PROXY UNKNOWN" || line.startsWith("PROXY UNKNOWN ")) return { length, from: undefined };
  const words = /^PROXY TCP([46]) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+) (\d{1,5}) (\d{1,5})$/.exec(line);
  if (words === null) return malformed("proxy-header.line");
  const [family, source, destination, port, otherPort] = words.slice(1) as [string, string, string, string, string];
  const ends = [source, destination].map((each) => parseIp(each));
  const addressLen = family === "4" ? 4 : 16;
  const [from] = ends;
  if (from === undefined || isMalformed(from)) return malformed("proxy-header.address");
  if (ends.some((each) => isMalformed(each) || each.length !== addressLen)) return malformed("proxy-header.address");
  if (Math.max(Number(port), Number(otherPort)) > 65_535) return malformed("proxy-header.port");
  return { length, from: { address: formatIp(from), port: Number(port) } };
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((octet, i) => bytes[i] === octet);
}
