import { isMalformed, type Malformed, malformed } from "../../base/mod.ts";
import { MAX_QUERY_RECORDS } from "./limits.ts";
import { HEADER_LEN, skipName } from "./name.ts";
import { decodeQuestion, type Question } from "./question.ts";

/** Header flags (RFC 1035 §4.1.1; AD and CD: RFC 4035 §3). */
export const Flag = { QR: 0x8000, AA: 0x0400, TC: 0x0200, RD: 0x0100, RA: 0x0080, AD: 0x0020, CD: 0x0010 } as const;

/** The types that are told apart here; others are only numbers. */
export const Type = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  AAAA: 28,
  SRV: 33,
  DNAME: 39,
  OPT: 41,
  SVCB: 64,
  HTTPS: 65,
} as const;

export const CLASS_IN = 1;
export const OPCODE_QUERY = 0;

export const Rcode = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const;

export interface Header {
  readonly id: number;
  readonly flags: number;
  readonly opcode: number;
  /** Low four bits; an OPT may hold the rest. */
  readonly rcode: number;
  readonly questions: number;
  readonly answers: number;
  readonly authorities: number;
  readonly additionals: number;
}

/** The query's OPT pseudo-record (RFC 6891 §6.1.2). */
export interface Edns {
  readonly udpSize: number;
  readonly version: number;
  readonly dnssecOk: boolean;
}

export interface Query {
  /** All of it; the question is echoed from here octet by octet, for resolvers compare letter case too. */
  readonly message: Uint8Array;
  readonly header: Header;
  readonly question: Question;
  readonly edns?: Edns;
}

export function decodeHeader(message: Uint8Array): Header | Malformed {
  if (message.length < HEADER_LEN) return malformed("dns.truncated");
  const flags = word(message, 2);
  return {
    id: word(message, 0),
    flags,
    opcode: (flags >> 11) & 0xf,
    rcode: flags & 0xf,
    questions: word(message, 4),
    answers: word(message, 6),
    authorities: word(message, 8),
    additionals: word(message, 10),
  };
}

/** A query (opcode QUERY) with exactly one question (RFC 9619), read to its end. */
export function decodeQuery(message: Uint8Array): Query | Malformed {
  const header = decodeHeader(message);
  if (isMalformed(header)) return header;
  if (header.questions !== 1) return malformed("dns.question-count");
  const question = decodeQuestion(message);
  if (isMalformed(question)) return question;
  const records = header.answers + header.authorities + header.additionals;
  if (records === 0) return { message, header, question };
  if (records > MAX_QUERY_RECORDS) return malformed("dns.record-count");
  const edns = findOpt(message, question.end, records);
  if (edns === undefined) return { message, header, question };
  return isMalformed(edns) ? edns : { message, header, question, edns };
}

function findOpt(message: Uint8Array, start: number, records: number): Edns | Malformed | undefined {
  let at = start;
  let edns: Edns | undefined;
  for (let i = 0; i < records; i++) {
    const atRoot = message[at] === 0; // as an OPT must be
    const fixed = skipName(message, at); // type, class, ttl, rdlength
    if (typeof fixed !== "number") return fixed;
    if (fixed + 10 > message.length) return malformed("dns.truncated");
    at = fixed + 10 + word(message, fixed + 8);
    if (at > message.length) return malformed("dns.truncated");
    if (word(message, fixed) !== Type.OPT) continue;
    if (edns || !atRoot) return malformed("dns.opt"); // one only, at the root: RFC 6891 §6.1.1
    edns = {
      udpSize: word(message, fixed + 2),
      version: message[fixed + 5]!,
      dnssecOk: (message[fixed + 6]! & 0x80) !== 0,
    };
  }
  return edns;
}

/** A query for one name's records, as a stub resolver sends it. `name`: its octets. */
export function encodeQuery(id: number, name: Uint8Array, type: number): Uint8Array {
  const message = new Uint8Array(HEADER_LEN + name.length + 4);
  message.set([id >> 8, id & 0xff, Flag.RD >> 8, 0, 0, 1]);
  message.set(name, HEADER_LEN);
  message.set([type >> 8, type & 0xff, 0, CLASS_IN], HEADER_LEN + name.length);
  return message;
}

export function word(message: Uint8Array, at: number): number {
  return (message[at]! << 8) | message[at + 1]!;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
