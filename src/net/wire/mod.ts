/**
 * The headers of IPv4, IPv6, TCP, UDP, ICMP and the virtio-net header before
 * them. Decoders check every bound and return `Malformed` for hostile octets;
 * they give positions instead of copies. Encoders write into the caller's
 * buffer, which is large enough.
 *
 * Deliberately absent: IPv4 options (skipped), TCP options other than MSS,
 * window scale, SACK and timestamps, the urgent pointer.
 */
export { addWords, checksumOf, fold, isIntact, pseudoHeaderSum } from "./checksum.ts";
export {
  decodeIcmp,
  encodeIcmp,
  ICMP_CHECKSUM_OFFSET,
  ICMP_HEADER_LEN,
  type IcmpHeader,
  icmp4,
  icmp6,
  isIcmpError,
} from "./icmp.ts";
export { decodeIp } from "./ip.ts";
export { DEFAULT_HOP_LIMIT, type IpPacket, protocol } from "./ip-packet.ts";
export { decodeIp4, encodeIp4, IP4_HEADER_LEN } from "./ip4.ts";
export { decodeIp6, EXTENSION_HEADERS_LIMIT, encodeIp6, IP6_HEADER_LEN } from "./ip6.ts";
export { put16, put32, u16, u32 } from "./octets.ts";
export { SummedMemory } from "./summed-memory.ts";
export {
  ACK,
  decodeTcp,
  encodeTcp,
  FIN,
  PSH,
  RST,
  SYN,
  TCP_CHECKSUM_OFFSET,
  TCP_HEADER_LEN,
  type TcpHeader,
  type TcpSegment,
} from "./tcp.ts";
export {
  encodeTcpOptions,
  NO_OPTIONS,
  SACK_BLOCKS_MAX,
  type TcpOptions,
  TIMESTAMPS_LEN,
  tcpOptionsLen,
  WINDOW_SCALE_MAX,
} from "./tcp-options.ts";
export { decodeUdp, encodeUdp, UDP_CHECKSUM_OFFSET, UDP_HEADER_LEN, type UdpHeader } from "./udp.ts";
export { isUnicast } from "./unicast.ts";
export { decodeVirtio, encodeVirtio, gsoType, VIRTIO_HEADER_LEN, type VirtioHeader, virtioFlag } from "./virtio.ts";
