import type { Malformed } from "../../src/base/mod.ts";
import { decodeIp, type IpPacket, VIRTIO_HEADER_LEN } from "../../src/net/wire/mod.ts";

type SentPacket = Pick<IpPacket, "addressesAt" | "addressLen" | "protocol" | "bodyAt" | "end">;

/** The packet in a frame of the stack's: an IPv4 super-segment beyond 64 KiB says 0 for its length. */
export function sentPacket(frame: Uint8Array): SentPacket | Malformed {
  const at = VIRTIO_HEADER_LEN;
  const isBig = frame[at]! >> 4 === 4 && frame[at + 2] === 0 && frame[at + 3] === 0;
  if (!isBig) return decodeIp(frame, at);
  return { addressesAt: at + 12, addressLen: 4, protocol: frame[at + 9]!, bodyAt: at + 20, end: frame.length };
}
