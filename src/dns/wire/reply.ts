import { concat, type IpAddress } from "../../base/mod.ts";
import { encodeName, HEADER_LEN, type Name } from "./name.ts";
import { CLASS_IN, Flag, type Header, type Query, Rcode, Type, viewOf } from "./query.ts";

/** What our own OPT offers: the size that crosses any path unfragmented (RFC 9715). */
export const OWN_UDP_SIZE = 1232;

/** Where a reply's question begins: the target of pointers to the name in question. */
const QUESTION_OFFSET = HEADER_LEN;

/** An authoritative reply with one address record, or none where `address` is missing (NODATA, with the SOA). */
export function addressReply(query: Query, owner: Name, address: IpAddress | undefined, ttl: number): Uint8Array {
  if (!address) return noDataReply(query, owner, ttl);
  const type = address.length === 4 ? Type.A : Type.AAAA;
  return reply(query, { flags: Flag.AA, rcode: Rcode.NOERROR, answers: [record(QUESTION_OFFSET, type, ttl, address)] });
}

/** An authoritative reply with one PTR record to `target`. */
export function pointerReply(query: Query, target: Name, ttl: number): Uint8Array {
  const answers = [record(QUESTION_OFFSET, Type.PTR, ttl, encodeName(target))];
  return reply(query, { flags: Flag.AA, rcode: Rcode.NOERROR, answers });
}

/**
 * NODATA (RFC 2308 §2.2): the name exists and has no record of this type. `owner`
 * is the zone that the SOA names; the name in question must end with it.
 */
export function noDataReply(query: Query, owner: Name, ttl: number): Uint8Array {
  const ownerAt = QUESTION_OFFSET + encodeName(query.question.name).length - encodeName(owner).length;
  return reply(query, { flags: Flag.AA, rcode: Rcode.NOERROR, authorities: [soa(ownerAt, ttl)] });
}

/** A reply without records, for a query that was understood. */
export function errorReply(query: Query, rcode: number): Uint8Array {
  return reply(query, { flags: 0, rcode });
}

/** A reply to a message of which only the header could be read. */
export function headerReply(header: Header, rcode: number): Uint8Array {
  const out = new Uint8Array(HEADER_LEN);
  viewOf(out).setUint16(0, header.id);
  viewOf(out).setUint16(2, Flag.QR | Flag.RA | (header.flags & (0x7800 | Flag.RD | Flag.CD)) | rcode);
  return out;
}

interface ReplyParts {
  flags: number;
  rcode: number;
  answers?: Uint8Array[];
  authorities?: Uint8Array[];
}

function reply(query: Query, { flags, rcode, answers = [], authorities = [] }: ReplyParts): Uint8Array {
  const additionals = query.edns ? [opt(rcode)] : [];
  const header = headerReply(query.header, rcode & 0xf);
  const view = viewOf(header);
  view.setUint16(2, view.getUint16(2) | flags);
  view.setUint16(4, 1);
  view.setUint16(6, answers.length);
  view.setUint16(8, authorities.length);
  view.setUint16(10, additionals.length);
  return concat(header, query.question.raw, ...answers, ...authorities, ...additionals);
}

function record(ownerAt: number, type: number, ttl: number, rdata: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + rdata.length);
  const view = viewOf(out);
  view.setUint16(0, 0xc000 | ownerAt);
  view.setUint16(2, type);
  view.setUint16(4, CLASS_IN);
  view.setUint32(6, ttl);
  view.setUint16(10, rdata.length);
  out.set(rdata, 12);
  return out;
}

/** The zone's start (RFC 1035 §3.3.13): the owner is its own server, `hostmaster` under it the mailbox. */
function soa(ownerAt: number, ttl: number): Uint8Array {
  const owner = [0xc0 | (ownerAt >> 8), ownerAt & 0xff];
  const hostmaster = [10, ...Buffer.from("hostmaster", "ascii"), ...owner];
  const numbers = new Uint8Array(20);
  // serial, refresh, retry, expire, minimum: nobody transfers this zone, so only the minimum
  // matters, the time for which the absence may be remembered (RFC 2308 §4).
  for (const [i, value] of [1, ttl, ttl, ttl, ttl].entries()) viewOf(numbers).setUint32(4 * i, value);
  return record(ownerAt, Type.SOA, ttl, Uint8Array.from([...owner, ...hostmaster, ...numbers]));
}

function opt(rcode: number): Uint8Array {
  const out = new Uint8Array(11); // root name, no options
  const view = viewOf(out);
  view.setUint16(1, Type.OPT);
  view.setUint16(3, OWN_UDP_SIZE);
  view.setUint8(5, rcode >> 4);
  return out;
}
