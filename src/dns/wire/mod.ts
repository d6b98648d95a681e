/**
 * DNS messages (RFC 1035, 6891, 9460's types): names as octets, a query's first
 * question and OPT, our few kinds of reply, and the removal of addresses from
 * someone else's. No I/O; bad bytes are `Malformed` values. Deliberately no
 * general record model: what is not understood is forwarded as bytes.
 */
export { truncateReply, withoutAddresses } from "./filter.ts";
export { encodeHost, encodeName, HEADER_LEN, type Name, type ReadName, readName } from "./name.ts";
export {
  CLASS_IN,
  decodeHeader,
  decodeQuery,
  type Edns,
  encodeQuery,
  Flag,
  type Header,
  OPCODE_QUERY,
  type Query,
  Rcode,
  Type,
} from "./query.ts";
export { decodeQuestion, type Question, sameQuestion } from "./question.ts";
export { addressesIn } from "./records.ts";
export { addressReply, errorReply, headerReply, noDataReply, OWN_UDP_SIZE, pointerReply } from "./reply.ts";
export { addressOfReverse } from "./reverse.ts";
