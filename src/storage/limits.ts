/** Changes waiting for one watcher. One that is further behind reads everything again instead. */
export const MAX_WATCH_QUEUE = 8192;
/** Writes in one transaction: bounds how long the process waits for the disk at once. */
export const MAX_BATCH = 256;
/** Items that one pass of expiry removes; more follow in the next. */
export const MAX_EXPIRED_PER_PASS = 1000;
/** The longest wait between two looks at expiry, so that a clock set forward is noticed. */
export const MAX_EXPIRY_WAIT_MS = 60_000;
/** Octets of a key. */
export const MAX_KEY_LEN = 1024;
/** Octets of a value: the largest resource the API accepts, several times over. */
export const MAX_VALUE_LEN = 4 * 1024 * 1024;
