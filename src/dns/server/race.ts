import { type Clock, type Counters, isMalformed, type Timer } from "../../base/mod.ts";
import { UpstreamError } from "../errors.ts";
import { decodeHeader, decodeQuery, Flag, type Header, Rcode } from "../wire/mod.ts";
import type { Asked, Asker, Transport } from "./asking.ts";
import { FORWARD_TIMEOUT_MS, HEDGE_DELAY_MS, MIN_UDP_LEN, TCP_RETRY_MS } from "./limits.ts";

/** What all races have in common. */
export interface Course {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly asker: Asker;
  /** A server answered, whatever it said. */
  heard(server: string): void;
  /** It failed, or said nothing for long enough that the next was asked. */
  missed(server: string): void;
  /** Calls `next` of each race at its `wakeAt`, which is not before `at`. */
  wake(at: number): void;
}

/** A server that was asked. */
interface Contestant {
  readonly server: string;
  readonly since: number;
  asked: Asked | undefined;
  /** It has said something. */
  heard: boolean;
  /** For the whole of an answer that it cut. */
  retry: Timer | undefined;
}

/** One query's way through the servers. */
export class Race {
  /** When `next` is due: the next server's turn or, when all have been asked, the end. */
  wakeAt = 0;
  readonly #course: Course;
  readonly #servers: readonly string[];
  readonly #query: Uint8Array;
  readonly #transport: Transport;
  readonly #done: (result: Uint8Array | Error) => void;
  readonly #contestants: Contestant[] = [];
  readonly #deadline: number;
  #failed = 0;
  #over = false;
  /** An answer that only says "not I": better than none, so the client sees the server's own words. */
  #poor: Uint8Array | undefined;
  #lastError = "no upstream DNS server is known";

  /** `done` is told the answer, or why there is none, once. */
  constructor(
    course: Course,
    servers: readonly string[],
    query: Uint8Array,
    transport: Transport,
    done: (result: Uint8Array | Error) => void,
  ) {
    this.#course = course;
    this.#servers = servers;
    this.#query = query;
    this.#transport = transport;
    this.#done = done;
    this.#deadline = course.clock.now() + FORWARD_TIMEOUT_MS;
  }

  /** Starts the next server, or gives up when all have failed or the time is over. */
  next(): void {
    const now = this.#course.clock.now();
    const server = this.#servers[this.#contestants.length];
    if (now >= this.#deadline) this.giveUp(`no upstream DNS server answered within ${FORWARD_TIMEOUT_MS / 1000} s`);
    else if (server !== undefined) this.#start(server, now);
    else if (this.#failed === this.#servers.length) this.giveUp(this.#lastError);
    if (this.#over) return;
    const hedge = this.#contestants.length < this.#servers.length;
    this.wakeAt = hedge ? Math.min(now + HEDGE_DELAY_MS, this.#deadline) : this.#deadline;
    this.#course.wake(this.wakeAt);
  }

  giveUp(reason: string): void {
    this.#end();
    this.#done(this.#poor ?? new UpstreamError(reason));
  }

  #start(server: string, now: number): void {
    const { asker } = this.#course;
    const contestant: Contestant = { server, since: now, asked: undefined, heard: false, retry: undefined };
    this.#contestants.push(contestant);
    contestant.asked = asker.ask(server, this.#query, this.#transport, (result) => this.#told(contestant, result));
  }

  #told(contestant: Contestant, result: Uint8Array | Error): void {
    if (this.#over) return;
    contestant.asked = undefined;
    contestant.heard = true;
    if (result instanceof Error) {
      this.#course.missed(contestant.server);
      this.#miss(result.message);
      return;
    }
    this.#course.heard(contestant.server);
    if (this.#transport === "udp" && isCut(result) && takesMore(this.#query)) this.#askWhole(contestant, result);
    else this.#answered(result);
  }

  /** Fetches over TCP what `cut` is a part of; where that fails the client learns from `cut` to do so itself. */
  #askWhole(contestant: Contestant, cut: Uint8Array): void {
    const { asker, clock, counters } = this.#course;
    counters.count("dns.tcp-retries");
    const settle = (result: Uint8Array | Error) => {
      if (this.#over) return;
      contestant.retry?.cancel();
      contestant.asked?.cancel();
      contestant.asked = undefined;
      this.#answered(result instanceof Error ? cut : result);
    };
    contestant.retry = clock.after(TCP_RETRY_MS, () => settle(cut));
    contestant.asked = asker.ask(contestant.server, this.#query, "tcp", settle);
  }

  #answered(answer: Uint8Array): void {
    if (isPoor(answer)) {
      this.#poor ??= answer;
      this.#miss("the upstream DNS servers refused or failed");
      return;
    }
    this.#end();
    this.#done(answer);
  }

  #miss(reason: string): void {
    this.#lastError = reason;
    this.#failed++;
    this.next();
  }

  #end(): void {
    this.#over = true;
    for (const { server, since, asked, heard, retry } of this.#contestants) {
      if (!heard && this.#course.clock.now() - since >= HEDGE_DELAY_MS) this.#course.missed(server);
      asked?.cancel();
      retry?.cancel();
    }
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
