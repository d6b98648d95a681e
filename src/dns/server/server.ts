import {
  type Clock,
  type Counters,
  type IpAddress,
  isMalformed,
  type Logger,
  messageOf,
  Repeats,
} from "../../base/mod.ts";
import {
  addressOfReverse,
  addressReply,
  CLASS_IN,
  decodeHeader,
  decodeQuery,
  encodeHost,
  errorReply,
  Flag,
  type Header,
  headerReply,
  noDataReply,
  OPCODE_QUERY,
  pointerReply,
  type Query,
  Rcode,
  Type,
  truncateReply,
  withoutAddresses,
} from "../wire/mod.ts";
import type { Transport } from "./asking.ts";
import {
  ANSWER_TTL_S,
  FAILURE_LOG_MS,
  MAX_FAILURE_KEYS,
  MAX_FORWARDS,
  MAX_MESSAGE_LEN,
  MIN_UDP_LEN,
} from "./limits.ts";
import type { Forwarder } from "./upstreams.ts";

/**
 * What is known of a host name. `addresses` without either: the name is served and has no record. It is known at once,
 * from what was learnt before: a question waits for nobody but the upstreams.
 */
export type Answer =
  | { kind: "addresses"; v4?: IpAddress; v6?: IpAddress }
  | { kind: "forward" }
  | { kind: "fail"; reason: string };

/** `host` is in lower case, without a final dot, of letters, digits, `-`, `_` and dots only. */
export type Resolve = (host: string) => Answer;

/** What goes back to the client, if anything does. */
export type Reply = Uint8Array | undefined;

export interface DnsServerOptions {
  resolve: Resolve;
  /** Whose address is this? Its PTR record is answered; those of all others are forwarded. */
  hostAt?: (address: IpAddress) => string | undefined;
  upstream: Forwarder;
  /** Addresses that nobody else's answer may hold; they are taken out. */
  forbidden?: (address: IpAddress) => boolean;
  /** Octets of reply that one datagram to the client carries; longer ones are cut and marked TC. */
  maxUdpLen: number;
  clock: Clock;
  counters: Counters;
  log: Logger;
}

/**
 * Answers A and AAAA for names that `resolve` knows and PTR for their addresses, says of their HTTPS and SVCB
 * records that there are none, and forwards everything else as it came.
 */
export class DnsServer {
  readonly #options: DnsServerOptions;
  readonly #failures: Repeats;
  #forwards = 0;

  constructor(options: DnsServerOptions) {
    this.#options = options;
    this.#failures = new Repeats(options.clock, FAILURE_LOG_MS, MAX_FAILURE_KEYS);
  }

  /**
   * The reply to one message, at once where nobody else need be asked; a promise of it never rejects. `undefined` only
   * where a reply could do harm or be read by nobody: no whole header, or a reply itself. Borrows the message for the
   * call.
   */
  handle(message: Uint8Array, transport: Transport = "udp"): Reply | Promise<Reply> {
    const { counters } = this.#options;
    const header = decodeHeader(message);
    if (isMalformed(header) || header.flags & Flag.QR) {
      counters.count("dns.dropped");
      return undefined;
    }
    counters.count(transport === "udp" ? "dns.queries-udp" : "dns.queries-tcp");
    if (header.opcode !== OPCODE_QUERY) return this.#forwardOther(new Uint8Array(message), transport, header);
    const query = decodeQuery(message);
    if (isMalformed(query)) {
      counters.count(query.malformed);
      return headerReply(header, Rcode.FORMERR);
    }
    if (query.question.class !== CLASS_IN) return this.#forwardUnread(kept(query), transport);
    return this.#pointer(query) ?? this.#own(query) ?? this.#forwardFiltered(kept(query), transport);
  }

  /** The reply where the name is ours, or the search for it failed. */
  #own(query: Query): Uint8Array | undefined {
    const host = servedHost(query);
    if (host === undefined) return undefined;
    const answer = this.#search(host);
    if (answer.kind === "forward") return undefined;
    if (answer.kind === "fail") {
      this.#options.counters.count("dns.resolve-failed");
      const line = `the name ${host} cannot be resolved: ${answer.reason}`;
      if (this.#failures.due(answer.reason)) this.#options.log.warn({ host }, line);
      return errorReply(query, Rcode.SERVFAIL);
    }
    this.#options.counters.count("dns.answered");
    if (query.edns && query.edns.version > 0) return errorReply(query, Rcode.BADVERS); // RFC 6891 §6.1.3
    const { type } = query.question;
    const address = type === Type.A ? answer.v4 : type === Type.AAAA ? answer.v6 : undefined;
    return address ? addressReply(query, address, ANSWER_TTL_S) : noDataReply(query, host.length + 2, ANSWER_TTL_S);
  }

  /** The reply to a question for the name of an address that one has. */
  #pointer(query: Query): Uint8Array | undefined {
    const { type, host: reverse } = query.question;
    if (type !== Type.PTR) return undefined;
    const address = reverse === undefined ? undefined : addressOfReverse(reverse);
    const host = address && this.#options.hostAt?.(address);
    const target = host === undefined ? undefined : encodeHost(host);
    if (target === undefined || isMalformed(target)) return undefined;
    this.#options.counters.count("dns.answered");
    if (query.edns && query.edns.version > 0) return errorReply(query, Rcode.BADVERS);
    return pointerReply(query, target, ANSWER_TTL_S);
  }

  /** Octets that one datagram of ours may bring the client: less than 512 counts as 512 (RFC 6891 §6.2.3). */
  #udpLen(query: Query): number {
    return Math.min(Math.max(MIN_UDP_LEN, query.edns?.udpSize ?? 0), this.#options.maxUdpLen);
  }

  #search(host: string): Answer {
    try {
      return this.#options.resolve(host);
    } catch (error) {
      return { kind: "fail", reason: messageOf(error) };
    }
  }

  /** A message of another kind than a query: nothing behind its header is read. */
  async #forwardOther(message: Uint8Array, transport: Transport, header: Header): Promise<Uint8Array> {
    const answer = await this.#forward(message, transport, this.#options.maxUdpLen);
    return answer ?? headerReply(header, Rcode.SERVFAIL);
  }

  /** A query of another class: what is answered there is none of our business. */
  async #forwardUnread(query: Query, transport: Transport): Promise<Uint8Array> {
    return (await this.#forward(query.message, transport, this.#udpLen(query))) ?? errorReply(query, Rcode.SERVFAIL);
  }

  async #forwardFiltered(query: Query, transport: Transport): Promise<Uint8Array> {
    const { counters, forbidden } = this.#options;
    const answer = await this.#forward(query.message, transport, this.#udpLen(query));
    if (!answer) return errorReply(query, Rcode.SERVFAIL);
    if (!forbidden) return answer;
    const maxLen = transport === "tcp" ? MAX_MESSAGE_LEN : this.#udpLen(query);
    const filtered = withoutAddresses(answer, forbidden, maxLen);
    if (isMalformed(filtered)) {
      counters.count(`upstream.${filtered.malformed}`);
      return errorReply(query, Rcode.SERVFAIL);
    }
    if (filtered !== answer) counters.count("dns.filtered");
    return filtered;
  }

  /** The upstream's answer, cut where it is longer than `udpLen` and UDP carries it; `undefined` where there is none. */
  async #forward(message: Uint8Array, transport: Transport, udpLen: number): Promise<Uint8Array | undefined> {
    const { counters, log, upstream } = this.#options;
    if (this.#forwards >= MAX_FORWARDS) {
      counters.count("dns.forwards-full");
      return undefined;
    }
    counters.count("dns.forwarded");
    this.#forwards++;
    try {
      const answer = await upstream.exchange(message, transport);
      if (transport === "tcp" || answer.length <= udpLen) return answer;
      const short = truncateReply(answer);
      return isMalformed(short) ? undefined : short;
    } catch (error) {
      log.debug({ reason: messageOf(error) }, "a DNS query could not be forwarded");
      return undefined;
    } finally {
      this.#forwards--;
    }
  }
}

/** The query with a message of its own. */
function kept(query: Query): Query {
  return { ...query, message: new Uint8Array(query.message) };
}

/** The host name that a question of a type which we answer is about, if any. */
function servedHost({ question }: Query): string | undefined {
  switch (question.type) {
    case Type.A:
    case Type.AAAA:
      return question.host;
    case Type.HTTPS:
    case Type.SVCB:
      return question.host?.replace(/^_\d{1,5}\._https\./, ""); // the port's own name: RFC 9460 §9.1
    default:
      return undefined;
  }
}
