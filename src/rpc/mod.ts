/**
 * Calls, watches and cached views between the cluster's parts: JSON over
 * HTTP/2 over mutual TLS 1.3 with ALPN `tp-auth/1`, on any raw connection, so
 * that a proxy can relay it unread. The contract is `api`'s; this layer moves
 * it, with deadlines, cancellation and back-pressure. It decides nothing but
 * who a certificate speaks for.
 */
export { Announcement, type AnnounceOptions } from "./announce.ts";
export { authorityCerts } from "./authorities.ts";
export { awaitEntry } from "./await-entry.ts";
export { Backoff } from "./backoff.ts";
export { CachedView, type ViewChange } from "./cached-view.ts";
export { type CallOptions, RpcClient, type RpcClientOptions } from "./client.ts";
export type { ClientIdentity, ClusterTrust, Dial } from "./connection.ts";
export type {
  CallContext,
  LeafCaller,
  Method,
  RemoteUser,
  RequestOf,
  ResponseOf,
  RpcCaller,
  RpcHandlers,
  WatchEventOf,
} from "./contract.ts";
export {
  CallTimeoutError,
  ConnectionLostError,
  IdentityFileError,
  ProtocolError,
  UntrustedServerError,
  WatchOverflowError,
} from "./errors.ts";
export { HostKeeper, type HostKeeperOptions } from "./host-keeper.ts";
export {
  type HostRecord,
  hostUuid,
  loadIdentity,
  loadOrJoin,
  type StoredRole,
  storeIdentity,
} from "./identity-store.ts";
export { leafOf } from "./leaf-alpn.ts";
export * as rpcLimits from "./limits.ts";
export { API_ALPN } from "./limits.ts";
export { RpcServer, type RpcServerOptions } from "./server.ts";
export { tcpDial } from "./tcp-dial.ts";
export {
  callUnverified,
  type FetchTrustOptions,
  fetchTrust,
  type HostCredentials,
  type JoinOptions,
  joinCluster,
  type Trust,
} from "./trust.ts";
