/**
 * What every layer may use: assertions, bytes, time, chance, errors, lifetimes,
 * logs and the one byte-stream contract. Knows no protocol and does no I/O
 * beyond the log's.
 */
export { AssertionFailed, assert, unreachable } from "./assert.ts";
export { concat, decodeUtf8, encodeUtf8, equal, fromHex, toHex } from "./bytes.ts";
export { type Clock, sleep, systemClock, type Timer } from "./clock.ts";
export { fileFault, isMalformed, type Malformed, malformed, messageOf, OperationError } from "./errors.ts";
export {
  type Cidr,
  cidrContains,
  cidrsOverlap,
  formatCidr,
  formatIp,
  type IpAddress,
  parseCidr,
  parseIp,
  parseScopedIp,
} from "./ip.ts";
export { type Lease, leasedChunk, UNPOOLED } from "./lease.ts";
export { Lifetime } from "./lifetime.ts";
export { createLogger, type Logger, type LogLevel, type LogOptions, silentLogger } from "./log.ts";
export { Counters } from "./metrics.ts";
export { raced } from "./raced.ts";
export { type Random, randomUint32, seededRandom, systemRandom } from "./random.ts";
export { Repeats } from "./repeats.ts";
export {
  type ByteStream,
  type Chunk,
  plainChunk,
  type ResetReason,
  type SpliceTotals,
  type StreamHandler,
  splice,
} from "./stream.ts";
export { VERSION, versionObjection } from "./version.ts";
