import { type IpAddress, isMalformed, type Malformed, malformed } from "../../base/mod.ts";
import { MAX_RECORDS } from "./limits.ts";
import { HEADER_LEN, skipName } from "./name.ts";
import { CLASS_IN, decodeHeader, Type, word } from "./query.ts";

/** Where a record stands in its message. */
export interface RecordRange {
  readonly section: number; // 0 answer, 1 authority, 2 additional
  readonly start: number;
  readonly type: number;
  readonly class: number;
  readonly fixed: number; // where the type stands, after the owner's name
  readonly rdata: number;
  readonly end: number;
}

/** Where the records of a message begin, or what is wrong with its questions. */
export function skipQuestions(message: Uint8Array, count: number): number | Malformed {
  if (count > 1) return malformed("dns.question-count");
  if (count === 0) return HEADER_LEN;
  const end = skipName(message, HEADER_LEN);
  if (typeof end !== "number") return end;
  return end + 4 <= message.length ? end + 4 : malformed("dns.truncated");
}

/** The records of the three sections, whose counts are given, from `start` on. */
export function readRecords(message: Uint8Array, start: number, counts: readonly number[]): RecordRange[] | Malformed {
  if (counts.reduce((a, b) => a + b) > MAX_RECORDS) return malformed("dns.record-count");
  const records: RecordRange[] = [];
  let at = start;
  for (const [section, count] of counts.entries()) {
    for (let i = 0; i < count; i++) {
      const fixed = skipName(message, at);
      if (typeof fixed !== "number") return fixed;
      const rdata = fixed + 10;
      if (rdata > message.length) return malformed("dns.truncated");
      const end = rdata + word(message, fixed + 8);
      if (end > message.length) return malformed("dns.truncated");
      records.push({
        section,
        start: at,
        type: word(message, fixed),
        class: word(message, fixed + 2),
        fixed,
        rdata,
        end,
      });
      at = end;
    }
  }
  return records;
}

/** The addresses that an answer gives, to whatever name. */
export function addressesIn(message: Uint8Array): IpAddress[] | Malformed {
  const header = decodeHeader(message);
  if (isMalformed(header)) return header;
  const start = skipQuestions(message, header.questions);
  if (typeof start !== "number") return start;
  const records = readRecords(message, start, [header.answers]);
  if (isMalformed(records)) return records;
  const addresses = records.filter(
    ({ type, class: cls }) => cls === CLASS_IN && (type === Type.A || type === Type.AAAA),
  );
  return addresses
    .map(({ rdata, end }) => message.slice(rdata, end))
    .filter(({ length }) => length === 4 || length === 16);
}
