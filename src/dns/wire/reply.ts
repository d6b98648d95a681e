import type { IpAddress } from "../../base/mod.ts";
import { HEADER_LEN } from "./name.ts";
import { CLASS_IN, Flag, type Header, type Query, Rcode, Type } from "./query.ts";

/** What our own OPT offers: the size that crosses any path unfragmented (RFC 9715). */
export const OWN_UDP_SIZE = 1232;

/** Where a reply's question begins: the target of pointers to the name in question. */
const QUESTION_OFFSET = HEADER_LEN;

/** A record's octets before its data: a pointer, type, class, TTL, length. */
const RECORD_HEADER_LEN = 12;
const OPT_LEN = 11;

/** `hostmaster` as a label. */
const HOSTMASTER = Uint8Array.from([10, ...Buffer.from("hostmaster", "ascii")]);
/** Two names that end in pointers, and five numbers of four octets. */
const SOA_DATA_LEN = 2 + HOSTMASTER.length + 2 + 20;

/** An authoritative reply with one address record. */
export function addressReply(query: Query, address: IpAddress, ttl: number): Uint8Array {
  const type = address.length === 4 ? Type.A : Type.AAAA;
  return recordReply(query, type, ttl, address);
}

/** An authoritative reply with one PTR record to `target`, the octets of a name. */
export function pointerReply(query: Query, target: Uint8Array, ttl: number): Uint8Array {
  return recordReply(query, Type.PTR, ttl, target);
}

/**
 * NODATA (RFC 2308 §2.2): the name exists and has no record of this type. `ownerLen`:
 * octets of the last labels of the name in question which are the zone that the SOA names.
 */
export function noDataReply(query: Query, ownerLen: number, ttl: number): Uint8Array {
  const reply = new Reply(query, Flag.AA, Rcode.NOERROR, RECORD_HEADER_LEN + SOA_DATA_LEN);
  reply.count(AUTHORITIES);
  const owner = 0xc000 | (QUESTION_OFFSET + query.question.nameLen - ownerLen);
  reply.record(owner, Type.SOA, ttl, SOA_DATA_LEN);
  // The zone's start (RFC 1035 §3.3.13): the owner is its own server, `hostmaster` under it the mailbox.
  reply.put16(owner);
  reply.octets(HOSTMASTER);
  reply.put16(owner);
  // serial, refresh, retry, expire, minimum: nobody transfers this zone, so only the minimum
  // matters, the time for which the absence may be remembered (RFC 2308 §4).
  for (const value of [1, ttl, ttl, ttl, ttl]) reply.put32(value);
  return reply.finish();
}

/** A reply without records, for a query that was understood. */
export function errorReply(query: Query, rcode: number): Uint8Array {
  return new Reply(query, 0, rcode, 0).finish();
}

/** A reply to a message of which only the header could be read. */
export function headerReply(header: Header, rcode: number): Uint8Array {
  const flags = replyFlags(header, rcode);
  const out = new Uint8Array(HEADER_LEN);
  out.set([header.id >> 8, header.id & 0xff, flags >> 8, flags & 0xff]);
  return out;
}

/** QR and RA, with what the client's flags are echoed of. */
function replyFlags(header: Header, rcode: number): number {
  return Flag.QR | Flag.RA | (header.flags & (0x7800 | Flag.RD | Flag.CD)) | (rcode & 0xf);
}

const ANSWERS = 6;
const AUTHORITIES = 8;
const ADDITIONALS = 10;

function recordReply(query: Query, type: number, ttl: number, rdata: Uint8Array): Uint8Array {
  const reply = new Reply(query, Flag.AA, Rcode.NOERROR, RECORD_HEADER_LEN + rdata.length);
  reply.count(ANSWERS);
  reply.record(0xc000 | QUESTION_OFFSET, type, ttl, rdata.length);
  reply.octets(rdata);
  return reply.finish();
}

/** Writes a reply into one buffer: header and question first, records in order, the OPT last if the query had one. */
class Reply {
  readonly #out: Buffer;
  readonly #rcode: number;
  readonly #withOpt: boolean;
  #at: number;

  /** `recordsLen`: octets of all records but the OPT. */
  constructor({ message, header, question, edns }: Query, flags: number, rcode: number, recordsLen: number) {
    this.#rcode = rcode;
    this.#withOpt = edns !== undefined;
    const out = Buffer.allocUnsafe(question.end + recordsLen + (this.#withOpt ? OPT_LEN : 0));
    this.#out = out;
    // For a few octets a loop is cheaper than a view.
    for (let at = 0; at < question.end; at++) out[at] = message[at]!;
    for (let at = ANSWERS; at < HEADER_LEN; at++) out[at] = 0;
    this.#at = 2;
    this.put16(replyFlags(header, rcode) | flags);
    this.#at = question.end;
  }

  /** One record more in the section. */
  count(section: number): void {
    this.#out[section + 1]!++;
  }

  record(owner: number, type: number, ttl: number, length: number): void {
    this.put16(owner);
    this.put16(type);
    this.put16(CLASS_IN);
    this.put32(ttl);
    this.put16(length);
  }

  put16(value: number): void {
    this.#out[this.#at++] = value >> 8;
    this.#out[this.#at++] = value & 0xff;
  }

  put32(value: number): void {
    this.put16(value >>> 16);
    this.put16(value & 0xffff);
  }

  octets(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) this.#out[this.#at++] = bytes[i]!;
  }

  finish(): Uint8Array {
    if (!this.#withOpt) return this.#out;
    this.count(ADDITIONALS);
    this.#out[this.#at++] = 0; // the root's name
    this.put16(Type.OPT);
    this.put16(OWN_UDP_SIZE);
    this.put32((this.#rcode >> 4) << 24); // extended code, version 0, no flags
    this.put16(0);
    return this.#out;
  }
}
