export const protocol = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58 } as const;

/** Our packets' TTL and hop limit (RFC 1700 and its successors at IANA). */
export const DEFAULT_HOP_LIMIT = 64;

/**
 * An IP packet of either version, as positions in the buffer it was read from:
 * on the fast path nothing is cut out before it is known to be wanted.
 */
export interface IpPacket {
  readonly version: 4 | 6;
  /** Where the packet begins. */
  readonly at: number;
  /** Source address, directly followed by the destination. */
  readonly addressesAt: number;
  /** 4 or 16. */
  readonly addressLen: number;
  /** Of the body; behind the extension headers in IPv6. */
  readonly protocol: number;
  /** Position of the octet that names `protocol`, counted from `at`: what an ICMPv6 parameter problem points to. */
  readonly protocolOffset: number;
  readonly bodyAt: number;
  /**
   * Where a fragment says which one it is: the identification of IPv4, the
   * fragment header of IPv6 (`protocolOffset` names that header then, and what
   * follows it is not looked at). 0: a whole packet.
   */
  readonly fragmentAt: number;
  /** Behind the body; padding of the frame lies beyond. */
  readonly end: number;
}
