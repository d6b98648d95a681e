/** A certificate or signing request (PEM or DER): ours are below 2 KiB; roles and traits may grow. */
export const MAX_CERTIFICATE_LEN = 32 * 1024;
/** The identity inside a certificate: it crosses in one handshake flight. */
export const MAX_IDENTITY_LEN = 16 * 1024;
/** Authorities in one bundle: of each cluster that there is a trust with two, while it rotates. */
export const MAX_AUTHORITIES = 512;

/** Certificates start this long in the past, so that a client's slow clock does not refuse them. */
export const BACKDATE_MS = 5 * 60_000;
/** Authorities and the administrator: replaced by rotation, not by expiry (as in Teleport). */
export const LONG_LIFE_MS = 10 * 365 * 86_400_000;
/** Hosts renew at half of it: one that is switched off for half a year still comes back. */
export const HOST_LIFE_MS = 365 * 86_400_000;
/** Steps from an authority to one that a pin names: two keys vouch for each other while one replaces the other. */
export const MAX_VOUCHING_STEPS = 4;
/** The self-signed web certificate: browsers refuse longer ones. */
export const WEB_LIFE_MS = 365 * 86_400_000;
