import { constants } from "node:crypto";

/**
 * The one table of TLS versions, groups and suites, for every connection
 * between our own parts and for the web. No tickets: a resumed session would
 * skip `checkServerIdentity`; clients never pass `session` either.
 */
export const TLS_DEFAULTS = {
  minVersion: "TLSv1.3",
  maxVersion: "TLSv1.3",
  ecdhCurve: "X25519MLKEM768:X25519",
  ciphers: "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const;
