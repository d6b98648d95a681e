/** A certificate or signing request (PEM or DER): ours are below 2 KiB; roles and traits may grow. */
export const MAX_CERTIFICATE_LEN = 32 * 1024;
/** The identity inside a certificate: it crosses in one handshake flight. */
export const MAX_IDENTITY_LEN = 16 * 1024;
/** Authorities in one bundle: two per cluster while rotating. */
export const MAX_AUTHORITIES = 64;

/** Certificates start this long in the past, so that a client's slow clock does not refuse them. */
export const BACKDATE_MS = 5 * 60_000;
/** Authorities and hosts: replaced by rotation, not by expiry (as in Teleport). */
export const LONG_LIFE_MS = 10 * 365 * 86_400_000;
/** The self-signed web certificate: browsers refuse longer ones. */
export const WEB_LIFE_MS = 365 * 86_400_000;
