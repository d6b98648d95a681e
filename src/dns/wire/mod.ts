/**
 * DNS messages (RFC 1035, 6891, 9460's types): names as octets, a query's first
 * question and OPT, our few kinds of reply, and the removal of addresses from
 * someone else's. No I/O; bad bytes are `Malformed` values. Deliberately no
 * general record model: what is not understood is forwarded as bytes.
 */
export { truncateReply, withoutAddresses } from "./filter.ts";
export {
  encodeName,
  HEADER_LEN,
  hostOf,
  type Name,
  nameOfHost,
  type ReadName,
  readName,
  sameName,
} from "./name.ts";
export {
  CLASS_IN,
  decodeHeader,
  decodeQuery,
  decodeQuestion,
  type Edns,
  Flag,
  type Header,
  OPCODE_QUERY,
  type Query,
  type Question,
  Rcode,
  Type,
} from "./query.ts";
export { addressReply, errorReply, headerReply, noDataReply, OWN_UDP_SIZE, pointerReply } from "./reply.ts";
export { addressOfReverse } from "./reverse.ts";
