/**
 * Certificate authorities, certificates and the identity inside them. Pure:
 * keys, bytes and the time go in, certificates and identities come out.
 *
 * An identity is a SAN URI (`teleport://<cluster>/host/<uuid>`, `/user/<name>`,
 * `/admin`) and one extension with roles, traits and the app route; its cluster
 * is that of the authority that verified it. Lacks revocation lists on purpose:
 * certificates are short and sessions end by server state.
 */
export {
  type AdminIdentity,
  type AppIdentity,
  type AppRoute,
  type Authority,
  authorityOf,
  type CaType,
  type HostIdentity,
  type HostRole,
  IDENTITY_OID,
  type Identity,
  identityOf,
  localNameOf,
  type Traits,
  type UserIdentity,
} from "./identity.ts";
export {
  createCa,
  crossSign,
  type IssueAdmin,
  type IssueHost,
  type IssueUser,
  issueAdminCert,
  issueHostCert,
  issueUserCert,
  type KeyedCert,
  selfSignedWebCert,
} from "./issue.ts";
export { createCsr, generateKeyPair, type KeyPair, keyPairOf, publicKeyOfCsr } from "./keys.ts";
export * as pkiLimits from "./limits.ts";
export { TLS_DEFAULTS } from "./tls.ts";
export {
  type HostExpectation,
  hostChecker,
  pinsVouchingFor,
  refusalText,
  spkiPin,
  validityOf,
  verifyChain,
} from "./verify.ts";
