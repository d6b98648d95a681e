import { concat, type IpAddress, isMalformed, type Malformed, malformed } from "../../base/mod.ts";
import { encodeName, readName } from "./name.ts";
import { CLASS_IN, decodeHeader, Flag, Type, viewOf } from "./query.ts";
import { type RecordRange, readRecords, skipQuestions } from "./records.ts";

/** Of the records, those that carry names which may be compressed (RFC 3597 §4): fixed octets before, names, rest. */
const RDATA_NAMES: Readonly<Record<number, { skip: number; names: number }>> = {
  [Type.NS]: { skip: 0, names: 1 },
  [Type.CNAME]: { skip: 0, names: 1 },
  [Type.SOA]: { skip: 0, names: 2 },
  [Type.PTR]: { skip: 0, names: 1 },
  [Type.MX]: { skip: 2, names: 1 },
  [Type.SRV]: { skip: 6, names: 1 },
  [Type.DNAME]: { skip: 0, names: 1 },
};

/**
 * Takes the A and AAAA records that `forbidden` names out of an upstream's answer:
 * a stranger's name must not lead into VNet's addresses (DNS rebinding).
 *
 * Returns `message` itself, untouched, where there is nothing to take out. A
 * rewritten message is uncompressed; where that no longer fits `maxLen` octets it
 * is cut after the question and marked TC, so that the client asks again by TCP.
 * A message marked TC already is not read past its question: servers cut anywhere.
 */
export function withoutAddresses(
  message: Uint8Array,
  forbidden: (address: IpAddress) => boolean,
  maxLen: number,
): Uint8Array | Malformed {
  const header = decodeHeader(message);
  if (isMalformed(header)) return header;
  const questionsEnd = skipQuestions(message, header.questions);
  if (typeof questionsEnd !== "number") return questionsEnd;
  if (header.flags & Flag.TC) return cut(message, questionsEnd);
  const records = readRecords(message, questionsEnd, [header.answers, header.authorities, header.additionals]);
  if (isMalformed(records)) return records;
  const kept = records.filter((record) => !isForbidden(message, record, forbidden));
  if (kept.length === records.length) return message;
  const parts = [message.subarray(0, questionsEnd)];
  for (const record of kept) {
    const bytes = uncompressed(message, record);
    if (isMalformed(bytes)) return bytes;
    parts.push(bytes);
  }
  const rewritten = concat(...parts);
  if (rewritten.length > maxLen) return cut(message, questionsEnd);
  for (const section of [0, 1, 2]) {
    viewOf(rewritten).setUint16(6 + 2 * section, kept.filter((record) => record.section === section).length);
  }
  return rewritten;
}

/** The header and question of a reply that does not fit, marked TC so that the client asks again by TCP. */
export function truncateReply(message: Uint8Array): Uint8Array | Malformed {
  const header = decodeHeader(message);
  if (isMalformed(header)) return header;
  const questionsEnd = skipQuestions(message, header.questions);
  return typeof questionsEnd === "number" ? cut(message, questionsEnd) : questionsEnd;
}

function isForbidden(message: Uint8Array, record: RecordRange, forbidden: (address: IpAddress) => boolean): boolean {
  const addressLen = record.type === Type.A ? 4 : record.type === Type.AAAA ? 16 : 0;
  if (record.class !== CLASS_IN || addressLen === 0 || record.end - record.rdata !== addressLen) return false;
  return forbidden(message.subarray(record.rdata, record.end));
}

/** The record with its names written out, valid anywhere in a message. */
function uncompressed(message: Uint8Array, record: RecordRange): Uint8Array | Malformed {
  const owner = readName(message, record.start);
  if (isMalformed(owner)) return owner;
  const rdata = uncompressedRdata(message, record);
  if (isMalformed(rdata)) return rdata;
  const fixed = message.slice(record.fixed, record.rdata);
  viewOf(fixed).setUint16(8, rdata.length);
  return concat(encodeName(owner.name), fixed, rdata);
}

function uncompressedRdata(message: Uint8Array, record: RecordRange): Uint8Array | Malformed {
  const layout = RDATA_NAMES[record.type];
  if (!layout) return message.subarray(record.rdata, record.end);
  let at = record.rdata + layout.skip;
  if (at > record.end) return malformed("dns.rdata");
  const parts = [message.subarray(record.rdata, at)];
  for (let i = 0; i < layout.names; i++) {
    const read = readName(message, at);
    if (isMalformed(read)) return read;
    if (read.end > record.end) return malformed("dns.rdata");
    parts.push(encodeName(read.name));
    at = read.end;
  }
  return concat(...parts, message.subarray(at, record.end));
}

/** Header and question only, with TC. */
function cut(message: Uint8Array, questionsEnd: number): Uint8Array {
  const out = message.slice(0, questionsEnd);
  const view = viewOf(out);
  view.setUint16(2, view.getUint16(2) | Flag.TC);
  for (const at of [6, 8, 10]) view.setUint16(at, 0);
  return out;
}
