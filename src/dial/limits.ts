/** From the dial of an HTTP proxy to its answer to CONNECT. */
export const CONNECT_ANSWER_MS = 10_000;
/** Octets of that answer's header: what common servers allow. */
export const MAX_CONNECT_ANSWER = 16 * 1024;
/** Entries of NO_PROXY. */
export const MAX_NO_PROXY = 1_024;
