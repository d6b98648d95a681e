/**
 * How octets get from a client to an agent through a proxy that cannot read
 * them: dispatch on the proxy's one port, route tokens, the agents' control and
 * data connections, raw relays, and the TLS ends of a link.
 *
 * It decides nothing about access: it proves who is who and asks its owner.
 */
export {
  AgentTunnel,
  type AgentTunnelOptions,
  type AppLink,
  AppLinkServer,
  type AppLinkServerOptions,
  type AppSession,
  type ClientHello,
  type DialAppLinkOptions,
  dialAppLink,
  type HelloConnection,
  type HostCredentials,
  type LinkContext,
  type LinkRefusal,
  PortDispatcher,
  type PortDispatcherOptions,
  ProxyTunnel,
  type ProxyTunnelOptions,
  parseClientHello,
  type RelayTotals,
  type Route,
  RouteCounters,
  type RouteSession,
  relay,
  socketStream,
  type Tools,
} from "./types.ts";
