import assert from "node:assert/strict";
import packet from "dns-packet";
import { Counters, type IpAddress, isMalformed, silentLogger, systemClock } from "../base/mod.ts";
import { DnsServer, isAnswerTo } from "../dns/mod.ts";
import {
  addressOfReverse,
  addressReply,
  decodeHeader,
  decodeQuery,
  decodeQuestion,
  encodeHost,
  encodeName,
  errorReply,
  Flag,
  noDataReply,
  pointerReply,
  type Query,
  readName,
  truncateReply,
  withoutAddresses,
} from "../dns/wire/mod.ts";

const MAX_UDP_LEN = 1_232;

/** dns-packet, which is slow, reads one reply in so many. */
const ORACLE_EVERY = 64;

export interface DnsFuzzResult {
  /** Messages by what became of them as queries: `accepted`, or the reason of refusal. */
  readonly queries: Record<string, number>;
  /** As answers of a stranger from which our addresses are taken: `untouched`, `rewritten`, `cut`, or the reason. */
  readonly answers: Record<string, number>;
  /** What the server replied: `none`, or `rcode N`. */
  readonly replies: Record<string, number>;
  /** Replies that dns-packet read and agreed with. */
  readonly oracle: number;
}

/**
 * Feeds `count` hostile messages to the codec and the server, and asserts of each
 * what must hold of all: no exception, no unbounded name, answers that repeat
 * their question, no address of ours left in a stranger's answer.
 */
export async function fuzzDns(seed: number, count: number): Promise<DnsFuzzResult> {
  const fuzz = new DnsFuzz(seed);
  for (let i = 0; i < count; i++) {
    const message = fuzz.message();
    try {
      fuzz.codec(message);
      await fuzz.server(message);
    } catch (error) {
      const hex = Buffer.from(message).toString("hex");
      throw new Error(`seed ${seed}, message ${i}: ${hex}`, { cause: error });
    }
  }
  return fuzz.result();
}

const forbidden = (address: IpAddress) => address[0] === 100 || address[0] === 0xfd;
const OWNER = encodeHost("app.company.test") as Uint8Array;
const V4 = Uint8Array.of(100, 64, 0, 9);
const TYPES = [1, 2, 5, 6, 12, 15, 16, 28, 33, 39, 41, 64, 65, 255, 65_535];

/** Well-formed beginnings, for mutations that get past the first check. */
const SEEDS: readonly Uint8Array[] = [
  ...[
    ["app.company.test", "A"],
    ["www.example.com", "AAAA"],
    ["9.0.64.100.in-addr.arpa", "PTR"],
    ["_8443._https.app.company.test", "SRV"],
  ].map(([name, type]) =>
    packet.encode({
      type: "query",
      id: 0x1234,
      flags: packet.RECURSION_DESIRED,
      questions: [{ name: name!, type: type as "A" }],
      additionals: [
        {
          type: "OPT",
          name: ".",
          udpPayloadSize: 1232,
          extendedRcode: 0,
          ednsVersion: 0,
          flags: 0,
          flag_do: false,
          options: [],
        },
      ],
    }),
  ),
  packet.encode({
    type: "response",
    id: 0x1234,
    questions: [{ name: "www.example.com", type: "A" }],
    answers: [
      { type: "CNAME", name: "www.example.com", ttl: 5, data: "w.example.com" },
      { type: "A", name: "w.example.com", ttl: 5, data: "100.64.0.9" },
      { type: "AAAA", name: "w.example.com", ttl: 5, data: "fd00::9" },
      { type: "A", name: "w.example.com", ttl: 5, data: "192.0.2.1" },
      { type: "MX", name: "example.com", ttl: 5, data: { preference: 5, exchange: "mx.example.com" } },
      {
        type: "SRV",
        name: "s.example.com",
        ttl: 5,
        data: { priority: 1, weight: 2, port: 3, target: "t.example.com" },
      },
    ],
    authorities: [
      {
        type: "SOA",
        name: "example.com",
        ttl: 5,
        data: {
          mname: "ns.example.com",
          rname: "h.example.com",
          serial: 1,
          refresh: 1,
          retry: 1,
          expire: 1,
          minimum: 1,
        },
      },
    ],
  }),
];

class DnsFuzz {
  readonly #queries = new Counters();
  readonly #answers = new Counters();
  readonly #replies = new Counters();
  readonly #server: DnsServer;
  #state: number;
  #oracle = 0;
  #turn = 0;

  constructor(seed: number) {
    this.#state = seed | 0 || 1;
    this.#server = new DnsServer({
      resolve: (host) => {
        if (host.startsWith("app.")) return { kind: "addresses", v4: V4 };
        return host.startsWith("fail") ? { kind: "fail", reason: "fuzz" } : { kind: "forward" };
      },
      hostAt: (address) => (address[0] === 100 ? "app.company.test" : undefined),
      upstream: { close() {}, exchange: (query) => Promise.resolve(this.#upstreamAnswer(query)) },
      forbidden,
      maxUdpLen: MAX_UDP_LEN,
      clock: systemClock,
      counters: new Counters(),
      log: silentLogger,
    });
  }

  result(): DnsFuzzResult {
    return {
      queries: this.#queries.snapshot(),
      answers: this.#answers.snapshot(),
      replies: this.#replies.snapshot(),
      oracle: this.#oracle,
    };
  }

  message(): Uint8Array {
    switch (this.#below(8)) {
      case 0:
        return this.#octets(this.#below(200));
      case 1:
      case 2:
        return this.#structured();
      default:
        return this.#mutated(SEEDS[this.#below(SEEDS.length)]!);
    }
  }

  codec(message: Uint8Array): void {
    const query = decodeQuery(message);
    this.#queries.count(isMalformed(query) ? query.malformed : "accepted");
    if (!isMalformed(query)) this.#checkQuery(message, query);
    this.#checkName(message, this.#below(message.length + 2));
    const filtered = withoutAddresses(message, forbidden, MAX_UDP_LEN);
    this.#answers.count(this.#checkFiltered(message, filtered));
    truncateReply(message);
    isAnswerTo(SEEDS[0]!, message);
    isAnswerTo(message, SEEDS[4]!);
  }

  async server(message: Uint8Array): Promise<void> {
    const reply = await this.#server.handle(message, "udp");
    if (reply === undefined) {
      this.#replies.count("none");
      return;
    }
    const header = decodeHeader(reply);
    assert(!isMalformed(header) && header.flags & Flag.QR, "a reply is marked as one");
    assert.equal(header.id, (message[0]! << 8) | message[1]!);
    assert(reply.length <= MAX_UDP_LEN);
    this.#replies.count(`rcode ${header.rcode}`);
  }

  #checkQuery(message: Uint8Array, query: Query): void {
    const { nameLen, host, end } = query.question;
    const raw = message.subarray(12, end);
    assert(end <= message.length && nameLen === raw.length - 4 && nameLen <= 255);
    const read = readName(message, 12);
    assert(!isMalformed(read) && read.end === 12 + nameLen, "the two readers of names agree");
    if (host !== undefined) {
      const again = encodeHost(host);
      const lower = Buffer.from(raw.subarray(0, nameLen)).toString("latin1").toLowerCase();
      assert(!isMalformed(again) && Buffer.from(again).toString("latin1") === lower, "text and octets mean the same");
      addressOfReverse(host);
    }
    const replies = [
      addressReply(query, V4, 10),
      noDataReply(query, nameLen, 10),
      pointerReply(query, OWNER, 10),
      errorReply(query, 16),
    ];
    for (const reply of replies) {
      const echoed = decodeQuestion(reply);
      assert(!isMalformed(echoed) && reply.length <= 600);
      assert(Buffer.compare(reply.subarray(12, echoed.end), raw) === 0, "the question is echoed octet by octet");
    }
    if (this.#turn++ % ORACLE_EVERY === 0) this.#askOracle(replies, query);
  }

  #askOracle(replies: readonly Uint8Array[], query: Query): void {
    for (const reply of replies) {
      const decoded = packet.decode(Buffer.from(reply));
      assert.deepEqual([decoded.id, decoded.questions!.length], [query.header.id, 1]);
      assert.equal(decoded.additionals!.length, query.edns ? 1 : 0);
      this.#oracle++;
    }
  }

  #checkName(message: Uint8Array, at: number): void {
    const read = readName(message, at);
    if (isMalformed(read)) return;
    assert(read.end > at && read.end <= message.length);
    const encoded = encodeName(read.name);
    assert(encoded.length <= 255);
    const again = readName(encoded, 0);
    assert(
      !isMalformed(again) && Buffer.compare(encodeName(again.name), encoded) === 0 && again.end === encoded.length,
    );
  }

  #checkFiltered(message: Uint8Array, filtered: ReturnType<typeof withoutAddresses>): string {
    if (isMalformed(filtered)) return filtered.malformed;
    if (filtered === message) return "untouched";
    assert(filtered.length <= Math.max(MAX_UDP_LEN, message.length));
    const again = withoutAddresses(filtered, forbidden, filtered.length);
    assert(!isMalformed(again), "what was rewritten can be read");
    assert(Buffer.compare(again, filtered) === 0, "nothing is left to take out");
    const header = decodeHeader(filtered);
    return !isMalformed(header) && header.flags & Flag.TC ? "cut" : "rewritten";
  }

  /** An answer damaged on its way, or anything; as it would arrive, after `isAnswerTo` has seen id and QR bit. */
  #upstreamAnswer(query: Uint8Array): Uint8Array {
    const damaged = this.#below(2) === 0 ? this.#mutated(SEEDS[4]!) : this.message();
    const answer = damaged.length < 12 ? SEEDS[4]!.slice() : damaged;
    answer.set(query.subarray(0, 2));
    answer[2]! |= 0x80;
    return answer;
  }

  #mutated(seed: Uint8Array): Uint8Array {
    let message = Uint8Array.from(seed);
    for (let i = this.#below(4); i >= 0; i--) {
      const at = this.#below(message.length + 1);
      switch (this.#below(6)) {
        case 0:
          if (at < message.length) message[at] = this.#below(256);
          break;
        case 1:
          if (at < message.length) message[at]! ^= 1 << this.#below(8);
          break;
        case 2:
          message = message.slice(0, at);
          break;
        case 3: {
          const piece = this.#octets(this.#below(12));
          message = Uint8Array.from([...message.subarray(0, at), ...piece, ...message.subarray(at)]);
          break;
        }
        case 4: // a count
          if (message.length >= 12) message[4 + this.#below(8)] = this.#below(3);
          break;
        case 5: // a pointer somewhere
          if (at + 1 < message.length) message.set([0xc0 | this.#below(2), this.#below(256)], at);
          break;
      }
    }
    return message;
  }

  /** A header with small counts, then names, pointers and records in the right order, mostly of the right length. */
  #structured(): Uint8Array {
    const questions = this.#below(4) === 0 ? this.#below(3) : 1;
    const records = [0, 0, 0].map(() => this.#below(4));
    const flags = this.#below(65_536);
    const out = [0x12, 0x34, flags >> 8, flags & 0xff, 0, questions, ...records.flatMap((n) => [0, n])];
    for (let i = 0; i < questions; i++) out.push(...this.#name(out.length), 0, this.#type(), 0, 1);
    for (let i = records.reduce((a, b) => a + b); i > 0; i--) {
      out.push(...this.#name(out.length));
      const type = this.#type();
      const rdata = this.#rdata(type, out.length + 10);
      const length = this.#below(20) === 0 ? this.#below(300) : rdata.length;
      out.push(0, type, 0, this.#below(8) === 0 ? 3 : 1, 0, 0, 0, 5, length >> 8, length & 0xff, ...rdata);
    }
    return Uint8Array.from(out);
  }

  #rdata(type: number, at: number): number[] {
    if (type === 1) return [this.#below(2) === 0 ? 100 : 192, 0, 2, 1];
    if (type === 28) return [this.#below(2) === 0 ? 0xfd : 0x20, ...this.#octets(15)];
    if ([2, 5, 12, 39].includes(type)) return this.#name(at);
    if (type === 15) return [0, 5, ...this.#name(at + 2)];
    if (type === 33) return [0, 1, 0, 2, 0, 3, ...this.#name(at + 6)];
    return [...this.#octets(this.#below(24))];
  }

  #name(at: number): number[] {
    const out: number[] = [];
    const long = this.#below(30) === 0;
    for (let i = this.#below(long ? 40 : 5); i > 0; i--) {
      const length = 1 + this.#below(long ? 63 : 6);
      out.push(
        length,
        ...Array.from({ length }, () => (this.#below(40) === 0 ? this.#below(256) : 97 + this.#below(26))),
      );
    }
    if (at <= 12 || this.#below(2) === 0) return [...out, 0];
    const target = this.#below(10) === 0 ? this.#below(0x4000) : 12 + this.#below(at - 12);
    return [...out, 0xc0 | (target >> 8), target & 0xff];
  }

  #type(): number {
    return TYPES[this.#below(TYPES.length)]! & 0xff;
  }

  #octets(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#below(256));
  }

  /** xorshift32: fast, and the same everywhere for one seed. */
  #below(limit: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % limit;
  }
}
