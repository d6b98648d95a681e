import { type Clock, type Counters, messageOf, type Timer } from "../../base/mod.ts";
import { UpstreamError } from "../errors.ts";
import { decodeHeader, type Header, Rcode } from "../wire/mod.ts";
import { FORWARD_TIMEOUT_MS, HEDGE_DELAY_MS, MAX_UPSTREAMS } from "./limits.ts";
import { type Ask, askOverSockets, type Transport } from "./sockets.ts";

/** Where queries for names that are not ours go. */
export interface Forwarder {
  /** Sends the query's octets as they are; resolves with an answer to it, rejects with an UpstreamError. */
  exchange(query: Uint8Array, transport: Transport): Promise<Uint8Array>;
  /** Gives up what is under way and all that comes later. */
  close(): void;
}

export interface UpstreamsOptions {
  /** Addresses in order of preference; asked anew for each query, so changes count at once. */
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
 * or would not help. The first real answer wins.
 */
export class Upstreams implements Forwarder {
  readonly #servers: () => readonly string[];
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #ask: Ask;
  readonly #races = new Set<Race>();
  #closed = false;

  constructor(options: UpstreamsOptions) {
    this.#servers = options.servers;
    this.#clock = options.clock;
    this.#counters = options.counters;
    this.#ask = options.ask ?? askOverSockets(options.port ?? 53);
  }

  exchange(query: Uint8Array, transport: Transport): Promise<Uint8Array> {
    const servers = this.#closed ? [] : this.#servers().slice(0, MAX_UPSTREAMS);
    return new Promise((resolve, reject) => {
      const race = new Race(servers.length, this.#clock, {
        ask: (index, signal) => this.#ask(servers[index]!, query, transport, signal),
        won: (answer) => {
          this.#races.delete(race);
          resolve(answer);
        },
        lost: (reason) => {
          this.#races.delete(race);
          this.#counters.count("dns.forward-failed");
          reject(new UpstreamError(reason));
        },
      });
      this.#races.add(race);
      race.next();
    });
  }

  close(): void {
    this.#closed = true;
    for (const race of [...this.#races]) race.giveUp("VNet is ending");
  }
}

interface RaceCallbacks {
  ask(index: number, signal: AbortSignal): Promise<Uint8Array>;
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
      this.#callbacks.ask(index, this.#abort.signal).then(
        (answer) => this.#answered(answer),
        (error) => this.#missed(messageOf(error)),
      );
      this.#hedge = this.#clock.after(HEDGE_DELAY_MS, () => this.next());
    } else if (this.#failed === this.#contestants) {
      this.giveUp(this.#lastError);
    }
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
