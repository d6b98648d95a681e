/**
 * The network beyond VNet, for a command whose only network is our TUN: what it
 * sends to strangers' addresses is dialled from the host's side, as slirp4netns
 * and pasta do. A TCP connection is accepted when its target has accepted; UDP
 * goes by a table of flows.
 *
 * Deliberately absent: ping and other IP protocols, connections from outside to
 * the command, and the host's loopback, unless an address is given for it.
 */
export * as outsideLimits from "./limits.ts";
export { isolation, Outside, type OutsideOptions } from "./outside.ts";
