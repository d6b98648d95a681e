/**
 * Can the address at `at` be one host's on a link? Not multicast, broadcast,
 * unspecified or loopback (RFC 1122 §3.2.1.3, RFC 4291 §2.5 and §2.7).
 */
export function isUnicast(buf: Uint8Array, at: number, addressLen: number): boolean {
  const first = buf[at]!;
  if (addressLen === 4) return first !== 0 && first !== 127 && first < 224;
  if (first === 0xff) return false;
  for (let i = 0; i < 15; i++) if (buf[at + i] !== 0) return true;
  return buf[at + 15]! > 1;
}
