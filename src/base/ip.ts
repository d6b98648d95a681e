import ipaddr from "ipaddr.js";
import { type Malformed, malformed } from "./errors.ts";

/** An address in network order: 4 octets (IPv4) or 16 (IPv6). */
export type IpAddress = Uint8Array;

export interface Cidr {
  /** With the host bits cleared. */
  readonly base: IpAddress;
  readonly prefixLen: number;
}

/** Strict text forms only: four decimal parts without leading zeros, or RFC 4291 §2.2. */
export function parseIp(text: string): IpAddress | Malformed {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return new Uint8Array(ipaddr.IPv4.parse(text).toByteArray());
  if (text.includes(":") && !text.includes("%") && ipaddr.IPv6.isValid(text)) {
    return new Uint8Array(ipaddr.IPv6.parse(text).toByteArray());
  }
  return malformed("ip.address");
}

/** As `parseIp`, and a link-local address may name its interface after `%` (RFC 4007 §11), which is left out. */
export function parseScopedIp(text: string): IpAddress | Malformed {
  return parseIp(text.replace(/^(fe[89ab][0-9a-f]:.*)%[\w.-]+$/i, "$1"));
}

/** Canonical text (RFC 5952 for IPv6). */
export function formatIp(address: IpAddress): string {
  const parsed = ipaddr.fromByteArray(Array.from(address));
  return parsed instanceof ipaddr.IPv6 ? parsed.toRFC5952String() : parsed.toString();
}

export function parseCidr(text: string): Cidr | Malformed {
  const slash = text.lastIndexOf("/");
  if (slash < 0) return malformed("ip.cidr");
  const address = parseIp(text.slice(0, slash));
  if ("malformed" in address) return address;
  const digits = text.slice(slash + 1);
  const prefixLen = Number(digits);
  if (!/^\d{1,3}$/.test(digits) || prefixLen > address.length * 8) return malformed("ip.prefix-length");
  return { base: maskIp(address, prefixLen), prefixLen };
}

export function formatCidr(cidr: Cidr): string {
  return `${formatIp(cidr.base)}/${cidr.prefixLen}`;
}

export function cidrContains(cidr: Cidr, address: IpAddress): boolean {
  if (address.length !== cidr.base.length) return false;
  return maskIp(address, cidr.prefixLen).every((octet, i) => octet === cidr.base[i]);
}

export function cidrsOverlap(a: Cidr, b: Cidr): boolean {
  return a.prefixLen <= b.prefixLen ? cidrContains(a, b.base) : cidrContains(b, a.base);
}

function maskIp(address: IpAddress, prefixLen: number): IpAddress {
  return address.map((octet, i) => {
    const keep = Math.min(8, Math.max(0, prefixLen - i * 8));
    return octet & (0xff00 >> keep);
  });
}
