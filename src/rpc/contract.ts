import type { Kind, ResourceOf, RpcCallMethod, RpcParsedRequest, RpcRequest, RpcResponse } from "../api/mod.ts";
import type { HostIdentity, UserIdentity } from "../pki/mod.ts";

/** Every call that has one answer; `resource.watch` is a method of its own. */
export type Method = RpcCallMethod;
export type RequestOf<M extends Method> = RpcRequest<M>;
export type ResponseOf<M extends Method> = RpcResponse<M>;

/** What a watch of some kinds yields. */
export type WatchEventOf<K extends Kind> =
  | { readonly type: "put"; readonly resource: ResourceOf<K> }
  | { readonly type: "delete"; readonly kind: K; readonly name: string }
  | { readonly type: "init" };

/** Who calls, proven by the certificate shown in the handshake. `kind` is the contract's word. */
export type RpcCaller =
  | { readonly kind: "none" }
  | { readonly kind: "admin" }
  | HostIdentity
  | UserIdentity
  | LeafCaller
  | RemoteUser;

/** The Auth Service of a leaf cluster. */
export interface LeafCaller extends Pick<HostIdentity, "cluster" | "hostId"> {
  readonly kind: "leaf";
}

/** A user of a root cluster; roles and traits are the root's words. */
export interface RemoteUser extends Omit<UserIdentity, "kind"> {
  readonly kind: "remote_user";
}

export interface CallContext {
  readonly caller: RpcCaller;
  /** Aborted when the caller gives up, its certificate ends, or the server closes. */
  readonly signal: AbortSignal;
  /** `address:port` of the peer of the TCP connection: the client's own, or a proxy's. */
  readonly remote: string;
}

/** What Auth implements: one handler per method, requests already checked by their schema. */
export type RpcHandlers = {
  readonly [M in Method]: (
    request: RpcParsedRequest<M>,
    context: CallContext,
  ) => ResponseOf<M> | Promise<ResponseOf<M>>;
} & {
  /** Puts of what exists, `init`, then changes. The server adds heartbeats and pulls no faster than the watcher reads. */
  readonly "resource.watch": (
    request: RpcParsedRequest<"resource.watch">,
    context: CallContext,
  ) => AsyncIterable<WatchEventOf<Kind>>;
};
