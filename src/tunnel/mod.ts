/**
 * How octets get from a client to an agent through a proxy that cannot read
 * them: dispatch on the proxy's one port, route tokens, the agents' control and
 * data connections, raw relays, and the TLS ends of a link.
 *
 * It decides nothing about access: it proves who is who and asks its owner.
 */
export type { AgentHost } from "./agent-choice.ts";
export { AgentTunnel, type AgentTunnelOptions } from "./agent-tunnel.ts";
export { ALERT, refuseHello } from "./alert.ts";
export {
  AppLinkServer,
  type AppLinkServerOptions,
  type LinkContext,
  type LinkRefusal,
  type LinkSettings,
} from "./app-link-server.ts";
export { type ClientHello, parseClientHello } from "./client-hello.ts";
export * as controlWire from "./control-wire.ts";
export { CONTROL_ALPN } from "./control-wire.ts";
export * as dataWire from "./data-wire.ts";
export { type ApiRoute, DATA_ALPN, type Route } from "./data-wire.ts";
export {
  type AgentList,
  type AppLink,
  type AppSession,
  type DialAppLinkOptions,
  dialAppLink,
} from "./dial-app-link.ts";
export { type HelloConnection, PortDispatcher, type PortDispatcherOptions } from "./dispatcher.ts";
export { NoAgentError, ProxyUnreachableError, SessionUnknownError, UntrustedAgentError } from "./errors.ts";
export { peekSocket } from "./first-octets.ts";
export * as tunnelLimits from "./limits.ts";
export { ProxyConnections } from "./proxy-connections.ts";
export type { PeerAddress } from "./proxy-header.ts";
export { type AppRouteSession, ProxyTunnel, type ProxyTunnelOptions } from "./proxy-tunnel.ts";
export { type Relay, type RelayTotals, relay } from "./relay.ts";
export * as relayHeader from "./relay-header.ts";
export { RouteCounters } from "./route-counters.ts";
export * as routeToken from "./route-token.ts";
export { LINK_ALPN } from "./route-token.ts";
export { socketStream } from "./socket-stream.ts";
export type { HostCredentials, RouteSession, Tools } from "./types.ts";
