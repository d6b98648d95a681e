/**
 * DNS for VNet: a strict codec (`wire/`, no I/O) and a server that answers for
 * the names it is told of and forwards every other question byte for byte
 * (`server/`). Deliberately no recursion, no cache and no DNSSEC of its own.
 */
export { UpstreamError } from "./errors.ts";
export {
  type Answer,
  DnsServer,
  type DnsServerOptions,
  type DnsStreamOptions,
  type Forwarder,
  isAnswerTo,
  type LookupOptions,
  lookupAt,
  type Reply,
  type Resolve,
  serveDnsStream,
  type Transport,
  Upstreams,
  type UpstreamsOptions,
  withoutServers,
} from "./server/mod.ts";
