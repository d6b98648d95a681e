import { createHash, X509Certificate } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import { isMalformed, type Malformed, malformed } from "../base/mod.ts";
import { authorityOf, type HostRole, type Identity, identityOf } from "./identity.ts";
import { spkiOf } from "./issue.ts";
import { MAX_AUTHORITIES, MAX_CERTIFICATE_LEN, MAX_VOUCHING_STEPS } from "./limits.ts";

/** `sha256:` and the hash of the certificate's SubjectPublicKeyInfo, as `--ca-pin` takes it. */
export function spkiPin(certPem: string): string {
  return `sha256:${createHash("sha256").update(spkiOf(certPem)).digest("hex")}`;
}

/**
 * The identity inside `certificate` if one of `authorities` issued it and it is
 * valid at `now` (milliseconds since 1970).
 *
 * Its cluster is that of the authority that verified it. A user authority
 * vouches for users only, a host authority for hosts and the administrator.
 */
export function verifyChain(
  certificate: Uint8Array | string,
  authorities: readonly string[],
  now: number,
): Identity | Malformed {
  const parsed = parse(certificate);
  if (isMalformed(parsed)) return parsed;
  const issuer = authorities.slice(0, MAX_AUTHORITIES).find((pem) => isIssuedBy(parsed, pem));
  if (issuer === undefined) return malformed("pki.unknown-authority");
  const out = outOfDate(parsed, now) ?? outOfDate(new X509Certificate(issuer), now);
  if (out) return out;
  return identityUnder(parsed.raw, issuer);
}

/** When `certificate`, DER or the first in PEM, begins and ends to be valid, milliseconds since 1970. */
export function validityOf(certificate: Uint8Array | string): { from: number; to: number } {
  const { validFromDate, validToDate } = new X509Certificate(certificate);
  return { from: validFromDate.getTime(), to: validToDate.getTime() };
}

/**
 * The pins whose authorities vouch for `authority`: its own, and those of the
 * members of `bundle` that certified it by one of `vouchers` (`crossSign`),
 * directly or over others.
 */
export function pinsVouchingFor(authority: string, bundle: readonly string[], vouchers: readonly string[]): string[] {
  const pins = new Set([spkiPin(authority)]);
  for (let step = 0; step < MAX_VOUCHING_STEPS; step++) {
    const certified = vouchers.filter((voucher) => isAuthority(voucher) && pins.has(spkiPin(voucher)));
    const issuers = bundle.filter((ca) => certified.some((voucher) => isIssuer(ca, voucher)));
    for (const issuer of issuers) pins.add(spkiPin(issuer));
  }
  return [...pins];
}

/** A host's own certificate vouches for nothing: its key may sign no certificate. */
function isAuthority(pem: string): boolean {
  const parsed = parse(pem);
  return !isMalformed(parsed) && parsed.ca && !isMalformed(authorityOf(pem));
}

function isIssuer(authority: string, voucher: string): boolean {
  const parsed = parse(voucher);
  return !isMalformed(parsed) && isIssuedBy(parsed, authority);
}

/** What the certificate states, as far as its issuer may state it. */
function identityUnder(certificate: Uint8Array, issuer: Uint8Array | string): Identity | Malformed {
  const authority = authorityOf(issuer);
  if (isMalformed(authority)) return authority;
  const identity = identityOf(certificate);
  if (isMalformed(identity)) return identity;
  if (identity.cluster !== authority.cluster) return malformed("pki.cluster-mismatch");
  const ofUser = identity.kind === "user" || identity.kind === "app";
  if (ofUser !== (authority.type === "user")) return malformed("pki.authority-type");
  return identity;
}

function parse(certificate: Uint8Array | string): X509Certificate | Malformed {
  if (certificate.length > MAX_CERTIFICATE_LEN) return malformed("pki.certificate-too-long");
  try {
    return new X509Certificate(certificate);
  } catch {
    return malformed("pki.certificate-syntax");
  }
}

function isIssuedBy(certificate: X509Certificate, authorityPem: string): boolean {
  const authority = parse(authorityPem);
  if (isMalformed(authority) || !authority.ca) return false;
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

function outOfDate(certificate: X509Certificate, now: number): Malformed | undefined {
  if (now < certificate.validFromDate.getTime()) return malformed("pki.not-yet-valid");
  if (now > certificate.validToDate.getTime()) return malformed("pki.expired");
  return undefined;
}

export interface HostExpectation {
  cluster: string;
  /** The host must have at least one of these. */
  roles: readonly HostRole[];
  /** Asked for each handshake; absent: any host of the cluster with the role. */
  hostIds?: readonly string[] | ((hostId: string) => boolean);
}

/**
 * For `tls.connect({ca, checkServerIdentity})`, after OpenSSL has verified the
 * chain. Synchronous on purpose: Node then closes before it sends the client's
 * certificate, so a false server never sees user or roles.
 */
export function hostChecker(expect: HostExpectation): (host: string, peer: PeerCertificate) => Error | undefined {
  return (_host, peer) => {
    const reason = hostMismatch(expect, peer);
    return reason === undefined ? undefined : new Error(`the server is not the expected host: ${reason}`);
  };
}

function hostMismatch(expect: HostExpectation, peer: PeerCertificate): string | undefined {
  const issuer = "issuerCertificate" in peer ? (peer.issuerCertificate as PeerCertificate | undefined) : undefined;
  if (!peer.raw || !issuer?.raw) return "no certificate";
  const identity = identityUnder(peer.raw, issuer.raw);
  if (isMalformed(identity)) return identity.malformed;
  if (identity.kind !== "host") return `its certificate is for a ${identity.kind}`;
  if (identity.cluster !== expect.cluster) return `it belongs to cluster ${JSON.stringify(identity.cluster)}`;
  if (!identity.roles.some((role) => expect.roles.includes(role))) return `its role is ${identity.roles.join(", ")}`;
  const { hostIds } = expect;
  if (hostIds === undefined) return undefined;
  const known = typeof hostIds === "function" ? hostIds(identity.hostId) : hostIds.includes(identity.hostId);
  return known ? undefined : `host ${identity.hostId} is not among those that may answer`;
}

/** What to tell a person whose certificate was refused. */
export function refusalText(reason: string): string {
  switch (reason) {
    case "pki.expired":
      return "the certificate has expired: log in again";
    case "pki.not-yet-valid":
      return "the certificate is not valid yet: check the clock of this machine";
    case "pki.unknown-authority":
      return "the certificate was not issued by this cluster: log in again or join again";
    default:
      return `the certificate is not acceptable (${reason})`;
  }
}
