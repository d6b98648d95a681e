/**
 * Where the cluster's state lives: keys and octets, with revisions, conditional
 * writes, watches and expiry. Knows nothing of resources, and has no
 * transaction over several keys.
 */
export { type Backend, type Change, type Item, storageKey, storagePrefix, type WriteOptions } from "./backend.ts";
export {
  KeyExistsError,
  KeyNotFoundError,
  StaleRevisionError,
  StorageClosedError,
  StorageFailedError,
  StorageFormatError,
  StorageInUseError,
  WatchLaggedError,
} from "./errors.ts";
export {
  MAX_BATCH,
  MAX_EXPIRED_PER_PASS,
  MAX_EXPIRY_WAIT_MS,
  MAX_KEY_LEN,
  MAX_VALUE_LEN,
  MAX_WATCH_QUEUE,
} from "./limits.ts";
export { openMemory } from "./memory.ts";
export { openSqlite } from "./sqlite.ts";
