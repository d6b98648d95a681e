/**
 * The user's side of a cluster: saved logins, the login itself, Auth's API
 * through the proxy's relay, and connections to apps. Prints nothing and asks
 * nothing: questions and answers are the command line's.
 */
export { AppConnections, type AppConnectionsOptions } from "./app-connections.ts";
export { type AppRef, type AppSessions, leafSessions, ownSessions } from "./app-sessions.ts";
export { connectCluster, connectLeaf, expired, identityOfProfile, isExpired } from "./cluster.ts";
export { summarizeApps } from "./cluster-access.ts";
export { dialProxy } from "./dial.ts";
export { ClusterDirectory, type ClusterDirectoryOptions } from "./directory.ts";
export {
  AppNotFoundError,
  IdentityUnusableError,
  LoginExpiredError,
  NotAProxyError,
  NotLoggedInError,
  ProfileDamagedError,
  ProxyUnreachableError,
  ProxyUntrustedError,
  SecondFactorUnansweredError,
  TrustChangedError,
} from "./errors.ts";
export { failedAt, type WayPart } from "./failed-at.ts";
export {
  type IdentityFile,
  IdentityFileStore,
  identityFileText,
  readIdentityFile,
} from "./identity-file.ts";
export { type LoginOptions, logIn } from "./login.ts";
export { answerMfa, awaitRegistration, type MfaPerson } from "./mfa.ts";
export { MfaDesk, type MfaDeskOptions } from "./mfa-desk.ts";
export { type Profile, ProfileStore, splitPem } from "./profile.ts";
export {
  fetchMessageOfTheDay,
  fetchProxyTrust,
  findProxy,
  joinHostPort,
  type ProxyFind,
  splitHostPort,
  type WebTrust,
} from "./web.ts";
