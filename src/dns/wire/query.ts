import { isMalformed, type Malformed, malformed } from "../../base/mod.ts";
import { MAX_QUERY_RECORDS } from "./limits.ts";
import { HEADER_LEN, type Name, readName } from "./name.ts";

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

export interface Question {
  readonly name: Name;
  readonly type: number;
  readonly class: number;
  /** The question's own octets, to be echoed exactly: resolvers compare letter case too. Aliases the message. */
  readonly raw: Uint8Array;
}

/** The query's OPT pseudo-record (RFC 6891 §6.1.2). */
export interface Edns {
  readonly udpSize: number;
  readonly version: number;
  readonly dnssecOk: boolean;
}

export interface Query {
  readonly header: Header;
  readonly question: Question;
  readonly edns?: Edns;
}

export function decodeHeader(message: Uint8Array): Header | Malformed {
  if (message.length < HEADER_LEN) return malformed("dns.truncated");
  const view = viewOf(message);
  const flags = view.getUint16(2);
  return {
    id: view.getUint16(0),
    flags,
    opcode: (flags >> 11) & 0xf,
    rcode: flags & 0xf,
    questions: view.getUint16(4),
    answers: view.getUint16(6),
    authorities: view.getUint16(8),
    additionals: view.getUint16(10),
  };
}

/** The first question of a message whose header says that it has one. */
export function decodeQuestion(message: Uint8Array): Question | Malformed {
  const read = readName(message, HEADER_LEN);
  if (isMalformed(read)) return read;
  const end = read.end + 4;
  if (end > message.length) return malformed("dns.truncated");
  const view = viewOf(message);
  return {
    name: read.name,
    type: view.getUint16(read.end),
    class: view.getUint16(read.end + 2),
    raw: message.subarray(HEADER_LEN, end),
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
  if (records > MAX_QUERY_RECORDS) return malformed("dns.record-count");
  const edns = findOpt(message, HEADER_LEN + question.raw.length, records);
  if (edns === undefined) return { header, question };
  return isMalformed(edns) ? edns : { header, question, edns };
}

function findOpt(message: Uint8Array, start: number, records: number): Edns | Malformed | undefined {
  const view = viewOf(message);
  let at = start;
  let edns: Edns | undefined;
  for (let i = 0; i < records; i++) {
    const read = readName(message, at);
    if (isMalformed(read)) return read;
    const fixed = read.end; // type, class, ttl, rdlength
    if (fixed + 10 > message.length) return malformed("dns.truncated");
    at = fixed + 10 + view.getUint16(fixed + 8);
    if (at > message.length) return malformed("dns.truncated");
    if (view.getUint16(fixed) !== Type.OPT) continue;
    if (edns || read.name.length > 0) return malformed("dns.opt"); // one only, at the root: RFC 6891 §6.1.1
    edns = {
      udpSize: view.getUint16(fixed + 2),
      version: view.getUint8(fixed + 5),
      dnssecOk: (view.getUint16(fixed + 6) & 0x8000) !== 0,
    };
  }
  return edns;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
