import { equal, formatIp, type IpAddress } from "../base/mod.ts";

/**
 * Where on the host's side a packet for `address` may go, as text; `undefined`:
 * nowhere. The host's loopback is reached only by `hostLoopback`, the address
 * that stands for it; none of its spellings leads there by itself.
 */
export function destinationOf(address: IpAddress, hostLoopback?: IpAddress): string | undefined {
  if (hostLoopback && equal(address, hostLoopback)) return address.length === 4 ? "127.0.0.1" : "::1";
  const forbidden = address.length === 4 ? isThisHost4(address) : isThisHost6(address);
  return forbidden ? undefined : formatIp(address);
}

/** "This host" and loopback (RFC 1122 §3.2.1.3): Linux connects to itself for both. */
function isThisHost4(address: IpAddress): boolean {
  return address[0] === 0 || address[0] === 127;
}

/**
 * Unspecified, loopback, an IPv4 address in IPv6's clothes (::ffff:127.0.0.1 is
 * loopback too), and link-local addresses, which mean nothing without an interface.
 */
function isThisHost6(address: IpAddress): boolean {
  if (address[0] === 0xfe && (address[1]! & 0xc0) === 0x80) return true;
  return address.subarray(0, 10).every((octet) => octet === 0);
}
