import { type Malformed, malformed } from "../../base/mod.ts";
import type { IpPacket } from "./ip-packet.ts";
import { decodeIp4 } from "./ip4.ts";
import { decodeIp6 } from "./ip6.ts";

/** Reads the packet that begins at `at`. Both versions' header checks, checksum included, are made. */
export function decodeIp(buf: Uint8Array, at: number): IpPacket | Malformed {
  if (at >= buf.length) return malformed("ip.truncated");
  const version = buf[at]! >> 4;
  if (version === 4) return decodeIp4(buf, at);
  if (version === 6) return decodeIp6(buf, at);
  return malformed("ip.version");
}
