import { createPublicKey, randomBytes } from "node:crypto";
import { assert } from "../base/mod.ts";
import {
  type AppRoute,
  type CaType,
  encodeIdentityExtension,
  type HostRole,
  IDENTITY_OID,
  identityUri,
  type Traits,
} from "./identity.ts";
import { generateKeyPair, importPrivate, importPublic, SIGNING_ALGORITHM } from "./keys.ts";
import { BACKDATE_MS, HOST_LIFE_MS, LONG_LIFE_MS, WEB_LIFE_MS } from "./limits.ts";
import { x509 } from "./x509.ts";

/** A certificate and its private key, both PEM. */
export interface KeyedCert {
  readonly certPem: string;
  readonly keyPem: string;
}

interface Issue {
  ca: KeyedCert;
  /** SubjectPublicKeyInfo, PEM: from `publicKeyOfCsr` or `generateKeyPair`. */
  publicKeyPem: string;
  /** Milliseconds since 1970. */
  now: number;
}
export interface IssueHost extends Issue {
  cluster: string;
  hostId: string;
  roles: readonly HostRole[];
  /** Milliseconds since 1970; a year by default. */
  expires?: number;
}
export interface IssueUser extends Issue {
  cluster: string;
  user: string;
  roles: readonly string[];
  traits: Traits;
  expires: number;
  /** Makes it an app-route certificate, good for this app session only. */
  route?: AppRoute;
  /** The MFA device that was shown for it, by its uuid. */
  mfaDevice?: string;
}
export interface IssueAdmin extends Issue {
  cluster: string;
}

export async function createCa(o: {
  cluster: string;
  type: CaType;
  now: number;
  expires?: number;
}): Promise<KeyedCert> {
  const { keyPem, publicKeyPem } = await generateKeyPair();
  const publicKey = await importPublic(publicKeyPem);
  const name = [{ CN: [o.cluster] }, { OU: [`${o.type} authority`] }];
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name,
    ...validity(o.now, o.expires ?? o.now + LONG_LIFE_MS),
    signingAlgorithm: SIGNING_ALGORITHM,
    keys: { privateKey: await importPrivate(keyPem), publicKey },
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      uriName(identityUri(o.cluster, `ca/${o.type}`)),
    ],
  });
  return { certPem: certificate.toString("pem"), keyPem };
}

/**
 * The key of the authority `ca` certified by the authority `by` of the same
 * cluster and type: sent behind a host's certificate, it lets those who trust
 * `by` alone follow a rotation (PROTOCOL section 1). Both have the same name, so
 * it counts in no path length (RFC 5280 §4.2.1.9, self-issued).
 */
export async function crossSign(ca: string, by: KeyedCert, now: number): Promise<string> {
  const subject = new x509.X509Certificate(ca);
  const issuer = new x509.X509Certificate(by.certPem);
  const name = subject.getExtension(x509.SubjectAlternativeNameExtension);
  assert(name !== null && subject.subject === issuer.subject, "authorities of one cluster and type");
  const publicKey = await importPublic(subject.publicKey.toString("pem"));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: subject.subject,
    issuer: issuer.subject,
    ...validity(now, issuer.notAfter.getTime()),
    signingAlgorithm: SIGNING_ALGORITHM,
    publicKey,
    signingKey: await importPrivate(by.keyPem),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer, false),
      name,
    ],
  });
  return certificate.toString("pem");
}

/** Both usages: a host is a server to clients and a client on its control connections. */
export function issueHostCert(o: IssueHost): Promise<string> {
  return issue(o, {
    commonName: `${o.hostId}.${o.cluster}`,
    uri: identityUri(o.cluster, `host/${o.hostId}`),
    usages: [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth],
    body: { roles: [...o.roles] },
    expires: o.expires ?? o.now + HOST_LIFE_MS,
  });
}

export function issueUserCert(o: IssueUser): Promise<string> {
  return issue(o, {
    commonName: o.user,
    uri: identityUri(o.cluster, `user/${encodeURIComponent(o.user)}`),
    usages: [x509.ExtendedKeyUsage.clientAuth],
    body: {
      roles: [...o.roles],
      traits: o.traits,
      iat: o.now,
      ...(o.route && { route: o.route }),
      ...(o.mfaDevice !== undefined && { mfa: o.mfaDevice }),
    },
    expires: o.expires,
  });
}

/** The administrator on the Auth host. Signed by the host authority: no user can be called this. */
export function issueAdminCert(o: IssueAdmin): Promise<string> {
  return issue(o, {
    commonName: `admin.${o.cluster}`,
    uri: identityUri(o.cluster, "admin"),
    usages: [x509.ExtendedKeyUsage.clientAuth],
    body: {},
    expires: o.now + LONG_LIFE_MS,
  });
}

/** What the proxy's web side shows when no certificate is configured. `hosts`: names or IP addresses. */
export async function selfSignedWebCert(hosts: readonly string[], now: number): Promise<KeyedCert> {
  const { keyPem, publicKeyPem } = await generateKeyPair();
  const publicKey = await importPublic(publicKeyPem);
  const names = hosts.map((value) => ({ type: /^[\d.]+$|:/.test(value) ? "ip" : "dns", value }) as const);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [(hosts[0] ?? "localhost").slice(0, 64)] }],
    ...validity(now, now + WEB_LIFE_MS),
    signingAlgorithm: SIGNING_ALGORITHM,
    keys: { privateKey: await importPrivate(keyPem), publicKey },
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      // A trust store holds it as its own issuer, so it must be allowed to sign itself.
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      new x509.SubjectAlternativeNameExtension(names),
    ],
  });
  return { certPem: certificate.toString("pem"), keyPem };
}

interface Content {
  commonName: string;
  uri: string;
  usages: x509.ExtendedKeyUsage[];
  body: Parameters<typeof encodeIdentityExtension>[0];
  expires: number;
}

async function issue(o: Issue, content: Content): Promise<string> {
  const ca = new x509.X509Certificate(o.ca.certPem);
  const publicKey = await importPublic(o.publicKeyPem);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    // Informative only, and X.520 bounds it to 64 characters: the identity is in the URI and the extension.
    subject: [{ CN: [content.commonName.slice(0, 64)] }],
    issuer: ca.subject,
    ...validity(o.now, content.expires),
    signingAlgorithm: SIGNING_ALGORITHM,
    publicKey,
    signingKey: await importPrivate(o.ca.keyPem),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(content.usages),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(ca, false),
      uriName(content.uri),
      new x509.Extension(IDENTITY_OID, false, encodeIdentityExtension(content.body)),
    ],
  });
  return certificate.toString("pem");
}

function uriName(uri: string): x509.SubjectAlternativeNameExtension {
  return new x509.SubjectAlternativeNameExtension([{ type: "url", value: uri }]);
}

function validity(now: number, expires: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Math.min(now, expires) - BACKDATE_MS), notAfter: new Date(expires) };
}

/** 16 random octets, positive and not zero-led (RFC 5280 §4.1.2.2). */
function serialNumber(): string {
  const octets = randomBytes(16);
  octets[0] = (octets[0]! & 0x7f) | 0x40;
  return octets.toString("hex");
}

/** The public key of a certificate or key as SubjectPublicKeyInfo DER. */
export function spkiOf(pem: string): Uint8Array {
  return createPublicKey(pem).export({ type: "spki", format: "der" });
}
