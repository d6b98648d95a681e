import type { Clock, Counters, Timer } from "../../base/mod.ts";
import type { Asker, Transport } from "./asking.ts";
import { MAX_UPSTREAMS, SERVERS_CACHE_MS, UPSTREAM_FAILED_MS } from "./limits.ts";
import { type Course, Race } from "./race.ts";
import { askerOverSockets } from "./sockets.ts";

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
  /** Replaces the sockets in tests. Closed by `close`. */
  asker?: Asker;
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
  readonly #course: Course;
  readonly #races = new Set<Race>();
  /** When each server failed last; of those in the list only. */
  readonly #failedAt = new Map<string, number>();
  #list: readonly string[] = [];
  #readAt: number | undefined;
  #closed = false;
  /** One timer for all races: most are over long before they would need one. */
  #alarm: { readonly at: number; readonly timer: Timer } | undefined;

  constructor(options: UpstreamsOptions) {
    this.#servers = options.servers;
    const { clock, counters } = options;
    this.#clock = clock;
    this.#course = {
      clock,
      counters,
      asker: options.asker ?? askerOverSockets(options.port ?? 53, clock),
      heard: (server) => void this.#failedAt.delete(server),
      missed: (server) => void this.#failedAt.set(server, clock.now()),
      wake: (at) => this.#wake(at),
    };
  }

  exchange(query: Uint8Array, transport: Transport): Promise<Uint8Array> {
    const servers = this.#closed ? [] : this.#inOrder();
    return new Promise((resolve, reject) => {
      const race = new Race(this.#course, servers, query, transport, (result) => {
        this.#races.delete(race);
        if (!(result instanceof Error)) {
          resolve(result);
          return;
        }
        this.#course.counters.count("dns.forward-failed");
        this.#readAt = undefined;
        reject(result);
      });
      this.#races.add(race);
      race.next();
    });
  }

  /** For people: the servers in the order in which they would be asked now. */
  servers(): { address: string; failed: boolean }[] {
    return this.#inOrder().map((address) => ({ address, failed: this.#hasFailed(address) }));
  }

  #inOrder(): readonly string[] {
    const now = this.#clock.now();
    if (this.#readAt === undefined || now - this.#readAt >= SERVERS_CACHE_MS) {
      this.#list = this.#servers().slice(0, MAX_UPSTREAMS);
      this.#readAt = now;
      for (const server of this.#failedAt.keys()) if (!this.#list.includes(server)) this.#failedAt.delete(server);
    }
    if (this.#failedAt.size === 0) return this.#list;
    const failed = this.#list.filter((server) => this.#hasFailed(server));
    return [...this.#list.filter((server) => !failed.includes(server)), ...failed];
  }

  #hasFailed(server: string): boolean {
    const at = this.#failedAt.get(server);
    return at !== undefined && this.#clock.now() - at < UPSTREAM_FAILED_MS;
  }

  #wake(at: number): void {
    if (this.#alarm !== undefined && this.#alarm.at <= at) return;
    this.#alarm?.timer.cancel();
    const timer = this.#clock.after(at - this.#clock.now(), () => this.#ring());
    this.#alarm = { at, timer };
  }

  #ring(): void {
    this.#alarm = undefined;
    const now = this.#clock.now();
    for (const race of [...this.#races]) if (race.wakeAt <= now) race.next();
    for (const race of this.#races) this.#wake(race.wakeAt);
  }

  close(): void {
    this.#closed = true;
    this.#alarm?.timer.cancel();
    for (const race of [...this.#races]) race.giveUp("VNet is ending");
    this.#course.asker.close();
  }
}
