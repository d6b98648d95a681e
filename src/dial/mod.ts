/**
 * TCP connections to the cluster's proxies: straight, or through the HTTP
 * proxy that `HTTPS_PROXY` names (CONNECT, RFC 9110 §9.3.6), with the
 * exceptions of `NO_PROXY`.
 *
 * What is spoken on them is TLS that ends behind the cluster's proxy: an HTTP
 * proxy on the way learns where it leads, and nothing else. It lacks on
 * purpose: SOCKS, automatic configuration, and every way to authenticate but
 * Basic.
 */
export { type ConnectProxy, connectProxyOf } from "./connect-proxy.ts";
export { type DialTcp, dialDirect, type Target } from "./direct.ts";
export { ConnectProxyError, ConnectProxySettingError } from "./errors.ts";
export * as dialLimits from "./limits.ts";
export { through } from "./through.ts";
export { type WebRoots, webRoots } from "./web-roots.ts";
