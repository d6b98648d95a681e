import { assert, concat, decodeUtf8, encodeUtf8, isMalformed, type Malformed, malformed } from "../base/mod.ts";
import { MAX_CERTIFICATE_LEN, MAX_IDENTITY_LEN } from "./limits.ts";
import { x509 } from "./x509.ts";

export type HostRole = "Auth" | "Proxy" | "App";
export type Traits = Readonly<Record<string, readonly string[]>>;

export interface AppRoute {
  readonly app: string;
  readonly publicAddr: string;
  readonly cluster: string;
  readonly sessionId: string;
}

export interface HostIdentity {
  readonly kind: "host";
  readonly cluster: string;
  readonly hostId: string;
  readonly roles: readonly HostRole[];
}
export interface AdminIdentity {
  readonly kind: "admin";
  readonly cluster: string;
}
export interface UserIdentity {
  readonly kind: "user";
  readonly cluster: string;
  readonly user: string;
  readonly roles: readonly string[];
  readonly traits: Traits;
  /** When Auth made the certificate, milliseconds since 1970. */
  readonly issued?: number;
  /** End of the certificate, milliseconds since 1970. */
  readonly expires: number;
  /** The MFA device that was shown for it, by its uuid. */
  readonly mfaDevice?: string;
}
export interface AppIdentity extends Omit<UserIdentity, "kind"> {
  readonly kind: "app";
  readonly route: AppRoute;
}
/** Who a certificate speaks for. */
export type Identity = HostIdentity | AdminIdentity | UserIdentity | AppIdentity;

/**
 * What a user of another cluster is called in this one, as in Teleport: in the
 * audit log, and where a lock names the user.
 */
export function localNameOf({ user, cluster }: Pick<UserIdentity, "user" | "cluster">): string {
  return `remote-${user}-${cluster}`;
}

/** An authority as its own certificate states it. Whoever adds one to a trust store checks `cluster` first. */
export interface Authority {
  readonly cluster: string;
  readonly type: CaType;
}
export type CaType = "user" | "host";

/** Our extension: JSON in a UTF8String, in the arc of Teleport's own certificates under a number those leave free. */
export const IDENTITY_OID = "1.3.9999.64.1";
const FORMAT_VERSION = 1;

interface IdentityExtension {
  v: number;
  roles?: string[];
  traits?: Traits;
  route?: AppRoute;
  /** Milliseconds since 1970. */
  iat?: number;
  mfa?: string;
}

export function identityUri(cluster: string, path: "admin" | `${"host" | "user" | "ca"}/${string}`): string {
  return `teleport://${cluster}/${path}`;
}

export function encodeIdentityExtension(body: Omit<IdentityExtension, "v">): Uint8Array {
  const json = encodeUtf8(JSON.stringify({ v: FORMAT_VERSION, ...body }));
  assert(json.length <= MAX_IDENTITY_LEN - 4, "the identity is too large for a certificate");
  return concat(Uint8Array.from(utf8StringHeader(json.length)), json);
}

/** Tag and minimal length of a DER UTF8String (X.690 §8.1.3). */
function utf8StringHeader(length: number): number[] {
  if (length < 0x80) return [0x0c, length];
  if (length < 0x100) return [0x0c, 0x81, length];
  return [0x0c, 0x82, length >> 8, length & 0xff];
}

/**
 * The identity that a certificate claims. Nothing is verified here: use it on
 * certificates whose chain was, or through `verifyChain`.
 */
export function identityOf(certificate: Uint8Array | string): Identity | Malformed {
  const parsed = parseCertificate(certificate);
  if (isMalformed(parsed)) return parsed;
  const place = soleUri(parsed);
  if (isMalformed(place)) return place;
  const body = readExtension(parsed);
  if (isMalformed(body)) return body;
  return build(place, body, parsed.notAfter.getTime());
}

/** The authority that a CA certificate claims to be. */
export function authorityOf(certificate: Uint8Array | string): Authority | Malformed {
  const parsed = parseCertificate(certificate);
  if (isMalformed(parsed)) return parsed;
  const place = soleUri(parsed);
  if (isMalformed(place)) return place;
  const [what, type] = place.path;
  if (what !== "ca" || (type !== "user" && type !== "host") || place.path.length !== 2) {
    return malformed("pki.not-an-authority");
  }
  if (parsed.getExtension(x509.BasicConstraintsExtension)?.ca !== true) return malformed("pki.not-an-authority");
  return { cluster: place.cluster, type };
}

interface Place {
  cluster: string;
  path: string[];
}

function parseCertificate(certificate: Uint8Array | string): x509.X509Certificate | Malformed {
  if (certificate.length > MAX_CERTIFICATE_LEN) return malformed("pki.certificate-too-long");
  try {
    return new x509.X509Certificate(typeof certificate === "string" ? certificate : new Uint8Array(certificate));
  } catch {
    return malformed("pki.certificate-syntax");
  }
}

/** The one `teleport://` URI among the alternative names, read from DER: text forms can be forged with commas. */
function soleUri(certificate: x509.X509Certificate): Place | Malformed {
  const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON() ?? [];
  const uris = names.filter((name) => name.type === "url" && name.value.startsWith("teleport://"));
  if (uris.length !== 1) return malformed("pki.no-identity");
  const [cluster, ...path] = uris[0]!.value.slice("teleport://".length).split("/");
  if (!cluster || path.length === 0 || path.some((part) => part === "")) return malformed("pki.identity-uri");
  try {
    return { cluster, path: path.map(decodeURIComponent) };
  } catch {
    return malformed("pki.identity-uri");
  }
}

function readExtension(certificate: x509.X509Certificate): IdentityExtension | Malformed {
  const extension = certificate.getExtension(IDENTITY_OID);
  if (!extension) return malformed("pki.no-identity");
  const json = utf8StringOf(new Uint8Array(extension.value));
  if (json === undefined) return malformed("pki.identity-extension");
  try {
    return checkExtension(JSON.parse(json));
  } catch {
    return malformed("pki.identity-extension");
  }
}

function utf8StringOf(der: Uint8Array): string | undefined {
  if (der.length < 2 || der.length > MAX_IDENTITY_LEN || der[0] !== 0x0c) return undefined;
  const first = der[1]!;
  const lengthLen = first < 0x80 ? 0 : first - 0x80;
  if (lengthLen > 2 || der.length < 2 + lengthLen) return undefined;
  let length = first < 0x80 ? first : 0;
  for (let i = 0; i < lengthLen; i++) length = length * 256 + der[2 + i]!;
  if (der.length !== 2 + lengthLen + length) return undefined;
  return decodeUtf8(der.subarray(2 + lengthLen));
}

function checkExtension(value: unknown): IdentityExtension | Malformed {
  if (typeof value !== "object" || value === null) return malformed("pki.identity-extension");
  const { v, roles, traits, route, iat, mfa } = value as Record<string, unknown>;
  if (v !== FORMAT_VERSION) return malformed("pki.identity-version");
  if (roles !== undefined && !isStrings(roles)) return malformed("pki.identity-roles");
  if (traits !== undefined && !isTraits(traits)) return malformed("pki.identity-traits");
  if (route !== undefined && !isRoute(route)) return malformed("pki.identity-route");
  if (iat !== undefined && !Number.isSafeInteger(iat)) return malformed("pki.identity-extension");
  if (mfa !== undefined && typeof mfa !== "string") return malformed("pki.identity-extension");
  const facts = { ...(iat !== undefined && { iat: iat as number }), ...(mfa !== undefined && { mfa }) };
  return { v, ...facts, ...(roles && { roles }), ...(traits && { traits }), ...(route && { route }) };
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isTraits(value: unknown): value is Traits {
  return typeof value === "object" && value !== null && Object.values(value).every(isStrings);
}

function isRoute(value: unknown): value is AppRoute {
  if (typeof value !== "object" || value === null) return false;
  const { app, publicAddr, cluster, sessionId } = value as Record<string, unknown>;
  return [app, publicAddr, cluster, sessionId].every((field) => typeof field === "string" && field !== "");
}

function build(place: Place, body: IdentityExtension, expires: number): Identity | Malformed {
  const { cluster, path } = place;
  const [kind, name] = path;
  if (kind === "admin" && path.length === 1) return { kind, cluster };
  if (name === undefined || path.length !== 2) return malformed("pki.identity-uri");
  const roles = body.roles ?? [];
  if (kind === "host") {
    if (!roles.every(isHostRole)) return malformed("pki.identity-roles");
    return { kind, cluster, hostId: name, roles };
  }
  if (kind !== "user") return malformed("pki.identity-uri");
  const person = {
    cluster,
    user: name,
    roles,
    traits: body.traits ?? {},
    expires,
    ...(body.iat !== undefined && { issued: body.iat }),
    ...(body.mfa !== undefined && { mfaDevice: body.mfa }),
  };
  return body.route ? { kind: "app", ...person, route: body.route } : { kind, ...person };
}

function isHostRole(role: string): role is HostRole {
  return role === "Auth" || role === "Proxy" || role === "App";
}
