/** Connections to the diagnostic port at one time: a prober and a scraper or two, and somebody looking. */
export const MAX_DIAG_CONNECTIONS = 32;
/** For a request there to arrive, and for an idle connection to end. */
export const DIAG_TIMEOUT_MS = 10_000;
