import { type Clock, type Counters, isMalformed, messageOf, type Timer } from "../../base/mod.ts";
import { UpstreamError } from "../errors.ts";
import { decodeHeader, decodeQuery, Flag, type Header, Rcode } from "../wire/mod.ts";
import {
  FORWARD_TIMEOUT_MS,
  HEDGE_DELAY_MS,
  MAX_UPSTREAMS,
  MIN_UDP_LEN,
  SERVERS_CACHE_MS,
  TCP_RETRY_MS,
  UPSTREAM_FAILED_MS,
} from "./limits.ts";
import { type Ask, askOverSockets, type Transport } from "./sockets.ts";

/** Where queries for names that are not ours go. */
export interface Forwarder {
  /** Sends the query's octets as they are; resolves with an answer to it, rejects with an UpstreamError. */
  exchange(query: Uint8Array, transport: Transport): Promise<Uint8Array>;
  /** Gives up what is under way and all that comes later. */
  close(): void;
}

export interface UpstreamsOptions {
  /** Addresses in order of preference; asked again each `SERVERS_CACHE_MS`, so that a changed network counts. */
  servers: () => readonly string[];
  clock: Clock;
  counters: Counters;
  port?: number;
  /** Replaces the sockets in tests. */
  ask?: Ask;
}

/**
 * The host's own servers, in order: the next is asked when the ones before have
 * been silent for `HEDGE_DELAY_MS`, have failed, or answered that they could not
 * or would not help. The first real answer wins. Whoever failed or was silent is
 * asked last for a while. An answer that its server cut is fetched whole over TCP
 * for a client that takes more than the least.
 */
export class Upstreams implements Forwarder {
  readonly #servers: () => readonly string[];
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #ask: Ask;
  readonly #races = new Set<Race>();
  /** When each server failed last; of those in the list only. */
  readonly #failedAt = new Map<string, number>();
  #list: readonly string[] = [];
  #readAt: number | undefined;
  #closed = false;

  constructor(options: UpstreamsOptions) {
    this.#servers = options.servers;
    this.#clock = options.clock;
    this.#counters = options.counters;
    this.#ask = options.ask ?? askOverSockets(options.port ?? 53);
  }

  exchange(query: Uint8Array, transport: Transport): Promise<Uint8Array> {
    const servers = this.#closed ? [] : this.#inOrder();
    return new Promise((resolve, reject) => {
      const race = new Race(servers.length, this.#clock, {
        ask: (index, signal) => this.#askWhole(servers[index]!, query, transport, signal, () => race.heard(index)),
        heard: (index) => void this.#failedAt.delete(servers[index]!),
        missed: (index) => void this.#failedAt.set(servers[index]!, this.#clock.now()),
        won: (answer) => {
          this.#races.delete(race);
          resolve(answer);
        },
        lost: (reason) => {
          this.#races.delete(race);
          this.#counters.count("dns.forward-failed");
          this.#readAt = undefined;
          reject(new UpstreamError(reason));
        },
      });
      this.#races.add(race);
      race.next();
    });
  }

  /** For people: the servers in the order in which they would be asked now. */
  servers(): { address: string; failed: boolean }[] {
    return this.#inOrder().map((address) => ({ address, failed: this.#hasFailed(address) }));
  }

  #inOrder(): string[] {
    const now = this.#clock.now();
    if (this.#readAt === undefined || now - this.#readAt >= SERVERS_CACHE_MS) {
      this.#list = this.#servers().slice(0, MAX_UPSTREAMS);
      this.#readAt = now;
      for (const server of this.#failedAt.keys()) if (!this.#list.includes(server)) this.#failedAt.delete(server);
    }
    const failed = this.#list.filter((server) => this.#hasFailed(server));
    return [...this.#list.filter((server) => !failed.includes(server)), ...failed];
  }

  #hasFailed(server: string): boolean {
    const at = this.#failedAt.get(server);
    return at !== undefined && this.#clock.now() - at < UPSTREAM_FAILED_MS;
  }

  /** `heard` is called as soon as the server has said anything. */
  async #askWhole(
    server: string,
    query: Uint8Array,
    transport: Transport,
    signal: AbortSignal,
    heard: () => void,
  ): Promise<Uint8Array> {
    const answer = await this.#ask(server, query, transport, signal);
    heard();
    if (transport === "tcp" || !isCut(answer) || !takesMore(query)) return answer;
    this.#counters.count("dns.tcp-retries");
    const late = new AbortController();
    const timer = this.#clock.after(TCP_RETRY_MS, () => late.abort(new Error("no answer over TCP in time")));
    try {
      return await this.#ask(server, query, "tcp", AbortSignal.any([signal, late.signal]));
    } catch {
      return answer; // The client learns from it to ask over TCP itself.
    } finally {
      timer.cancel();
    }
  }

  close(): void {
    this.#closed = true;
    for (const race of [...this.#races]) race.giveUp("VNet is ending");
  }
}

interface RaceCallbacks {
  ask(index: number, signal: AbortSignal): Promise<Uint8Array>;
  /** It answered, whatever it said. */
  heard(index: number): void;
  /** It failed, or said nothing for long enough that the next was asked. */
  missed(index: number): void;
  won(answer: Uint8Array): void;
  lost(reason: string): void;
}

/** One query's way through the servers. */
class Race {
  readonly #contestants: number;
  readonly #clock: Clock;
  readonly #callbacks: RaceCallbacks;
  readonly #abort = new AbortController();
  readonly #deadline: Timer;
  #hedge: Timer | undefined;
  /** Those asked who have not answered: the time at which they were. */
  readonly #waiting = new Map<number, number>();
  #started = 0;
  #failed = 0;
  /** An answer that only says "not I": better than none, so the client sees the server's own words. */
  #poor: Uint8Array | undefined;
  #lastError = "no upstream DNS server is known";

  constructor(contestants: number, clock: Clock, callbacks: RaceCallbacks) {
    this.#contestants = contestants;
    this.#clock = clock;
    this.#callbacks = callbacks;
    this.#deadline = clock.after(FORWARD_TIMEOUT_MS, () => {
      this.giveUp(`no upstream DNS server answered within ${FORWARD_TIMEOUT_MS / 1000} s`);
    });
  }

  /** Starts the next server, or gives up when all have failed. */
  next(): void {
    this.#hedge?.cancel();
    if (this.#started < this.#contestants) {
      const index = this.#started++;
      this.#waiting.set(index, this.#clock.now());
      this.#callbacks.ask(index, this.#abort.signal).then(
        (answer) => this.#answered(answer),
        (error) => this.#failedBy(index, messageOf(error)),
      );
      this.#hedge = this.#clock.after(HEDGE_DELAY_MS, () => this.next());
    } else if (this.#failed === this.#contestants) {
      this.giveUp(this.#lastError);
    }
  }

  /** The server lives, whatever it said, and however long the rest takes. */
  heard(index: number): void {
    if (this.#waiting.delete(index)) this.#callbacks.heard(index);
  }

  #answered(answer: Uint8Array): void {
    if (this.#abort.signal.aborted) return;
    if (isPoor(answer)) {
      this.#poor ??= answer;
      this.#missed("the upstream DNS servers refused or failed");
      return;
    }
    this.#end();
    this.#callbacks.won(answer);
  }

  #failedBy(index: number, reason: string): void {
    if (this.#abort.signal.aborted) return;
    this.#waiting.delete(index);
    this.#callbacks.missed(index);
    this.#missed(reason);
  }

  #missed(reason: string): void {
    if (this.#abort.signal.aborted) return;
    this.#lastError = reason;
    this.#failed++;
    this.next();
  }

  giveUp(reason: string): void {
    this.#end();
    if (this.#poor) this.#callbacks.won(this.#poor);
    else this.#callbacks.lost(reason);
  }

  #end(): void {
    const now = this.#clock.now();
    for (const [index, since] of this.#waiting) if (now - since >= HEDGE_DELAY_MS) this.#callbacks.missed(index);
    this.#waiting.clear();
    this.#abort.abort(new Error("another server answered, or time is up"));
    this.#deadline.cancel();
    this.#hedge?.cancel();
  }
}

/** Another server may do better (as glibc's res_send decides). `isAnswerTo` has seen a whole header. */
function isPoor(answer: Uint8Array): boolean {
  const { rcode } = decodeHeader(answer) as Header;
  return rcode === Rcode.SERVFAIL || rcode === Rcode.REFUSED || rcode === Rcode.NOTIMP;
}

function isCut(answer: Uint8Array): boolean {
  return ((decodeHeader(answer) as Header).flags & Flag.TC) !== 0;
}

/** Only a client with EDNS can be given more in a datagram than the server would have sent it anyway. */
function takesMore(query: Uint8Array): boolean {
  const decoded = decodeQuery(query);
  return !isMalformed(decoded) && (decoded.edns?.udpSize ?? 0) > MIN_UDP_LEN;
}
