import { type Malformed, malformed } from "../../base/mod.ts";

/** Legacy `struct virtio_net_hdr` as the TUN driver speaks it (virtio 1.3 §5.1.6, linux/virtio_net.h). */
export const VIRTIO_HEADER_LEN = 10;

export const virtioFlag = {
  /** The checksum field holds only the pseudo-header's sum; the device completes it. */
  NEEDS_CSUM: 1,
  /** The checksum was verified already. */
  DATA_VALID: 2,
} as const;

export const gsoType = { NONE: 0, TCPV4: 1, TCPV6: 4, UDP_L4: 5, ECN: 0x80 } as const;

const KNOWN_TYPES: ReadonlySet<number> = new Set([gsoType.NONE, gsoType.TCPV4, gsoType.TCPV6, gsoType.UDP_L4]);

export interface VirtioHeader {
  readonly flags: number;
  /** One of `gsoType`, without the ECN bit. */
  readonly gsoType: number;
  /** Octets of headers before the text of a super-segment; a hint. */
  readonly hdrLen: number;
  /** Text octets of each segment, or payload octets of each datagram, that a super-segment stands for. */
  readonly gsoSize: number;
  /** Where the checksummed part begins, from the IP header on. */
  readonly csumStart: number;
  /** Where its checksum field is, from `csumStart` on. */
  readonly csumOffset: number;
}

/** Reads the header that stands before every frame. */
export function decodeVirtio(frame: Uint8Array): VirtioHeader | Malformed {
  if (frame.length < VIRTIO_HEADER_LEN) return malformed("virtio.truncated");
  const type = frame[1]! & ~gsoType.ECN;
  if (!KNOWN_TYPES.has(type)) return malformed("virtio.gso-type");
  return {
    flags: frame[0]!,
    gsoType: type,
    hdrLen: little16(frame, 2),
    gsoSize: little16(frame, 4),
    csumStart: little16(frame, 6),
    csumOffset: little16(frame, 8),
  };
}

export function encodeVirtio(frame: Uint8Array, header: VirtioHeader): void {
  frame[0] = header.flags;
  frame[1] = header.gsoType;
  putLittle16(frame, 2, header.hdrLen);
  putLittle16(frame, 4, header.gsoSize);
  putLittle16(frame, 6, header.csumStart);
  putLittle16(frame, 8, header.csumOffset);
}

function little16(buf: Uint8Array, at: number): number {
  return buf[at]! | (buf[at + 1]! << 8);
}

function putLittle16(buf: Uint8Array, at: number, value: number): void {
  buf[at] = value;
  buf[at + 1] = value >>> 8;
}
