/**
 * The DNS server's decisions and its way to the host's own servers. Never silent:
 * a failure of ours or of an upstream is SERVFAIL. Deliberately no cache: the
 * host's resolver has one, and zones change under us.
 */

export { type Asked, type Asker, isAnswerTo, type Transport } from "./asking.ts";
export { ANSWER_TTL_S, FORWARD_TIMEOUT_MS, HEDGE_DELAY_MS, MAX_FORWARDS, MAX_UPSTREAMS } from "./limits.ts";
export { type LookupOptions, lookupAt } from "./lookup.ts";
export { type Answer, DnsServer, type DnsServerOptions, type Reply, type Resolve } from "./server.ts";
export { type DnsStreamOptions, serveDnsStream } from "./stream.ts";
export { type Forwarder, Upstreams, type UpstreamsOptions } from "./upstreams.ts";
export { withoutServers } from "./without-servers.ts";
