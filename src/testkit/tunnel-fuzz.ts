import assert from "node:assert/strict";
import { type Clock, Counters, isMalformed, plainChunk, silentLogger, UNPOOLED } from "../base/mod.ts";
import { type CarrierHandler, Link, linkLimits, linkWire, type OpenRequest } from "../link/mod.ts";
import { controlWire, dataWire, parseClientHello, routeToken, tunnelLimits } from "../tunnel/mod.ts";
import { Mutator } from "./mutator.ts";

/** What became of each kind of input: `accepted` and the like, or the reason of refusal. */
export type TunnelFuzzResult = Record<
  "hellos" | "tokens" | "control" | "data" | "frames" | "links",
  Record<string, number>
>;

const CLUSTER = "example.test";
const KEY = Buffer.alloc(32, 7);
const SESSION = "00112233445566778899aabbccddeeff";
const ROUTE = { sessionId: SESSION, app: "tcp-app", clientAddress: "192.0.2.1" };
/** Input of a link until it has had enough of it. */
const FRAMES_PER_LINK = 24;

/**
 * Feeds `count` hostile inputs to everything of the tunnel that strangers or
 * peers can reach, and asserts of each what must hold of all: no exception,
 * nothing genuine that was not, the same result however the octets are cut.
 */
export async function fuzzTunnel(seed: number, count: number): Promise<TunnelFuzzResult> {
  const fuzz = new TunnelFuzz(seed);
  for (let done = 0; done < count; ) {
    try {
      done += await fuzz.next(done);
    } catch (error) {
      throw new Error(`seed ${seed}, input ${done}: ${fuzz.last}`, { cause: error });
    }
  }
  return fuzz.result();
}

class TunnelFuzz {
  /** The present input, for a failure's report. */
  last = "";
  readonly #random: Mutator;
  readonly #counts = { hellos: new Counters(), tokens: new Counters(), control: new Counters(), data: new Counters() };
  readonly #frames = new Counters();
  readonly #links = new Counters();

  constructor(seed: number) {
    this.#random = new Mutator(seed);
  }

  result(): TunnelFuzzResult {
    const { hellos, tokens, control, data } = this.#counts;
    const all = { hellos, tokens, control, data, frames: this.#frames, links: this.#links };
    return Object.fromEntries(
      Object.entries(all).map(([name, counts]) => [name, counts.snapshot()]),
    ) as TunnelFuzzResult;
  }

  /** One input of each kind in turn, or a link's worth of frames. Returns how many. */
  async next(turn: number): Promise<number> {
    const kinds = [this.hello, this.token, this.control, this.data, this.frame];
    const kind = kinds[turn % (kinds.length + 1)];
    if (kind === undefined) return this.link();
    kind.call(this);
    return 1;
  }

  /** At the proxy's port, by anybody. */
  hello(): void {
    const bytes = this.#note(this.#random.input(HELLOS));
    const hello = parseClientHello(bytes);
    this.#counts.hellos.count(outcome(hello));
    if (hello === "incomplete" || isMalformed(hello)) return;
    assert(hello.length <= bytes.length && hello.length <= tunnelLimits.MAX_CLIENT_HELLO);
    assert(hello.alpn.length <= tunnelLimits.MAX_ALPN_ENTRIES && hello.alpn.every((name) => name.length > 0));
    assert(hello.serverName === undefined || /^[a-z0-9_.-]{1,255}$/.test(hello.serverName));
    assert.equal(parseClientHello(bytes.subarray(0, this.#random.below(hello.length))), "incomplete", "no early end");
  }

  /** In a ClientHello, by anybody. */
  token(): void {
    const text = this.#note(this.#random.input(TOKENS));
    const alpn = [routeToken.LINK_ALPN, ...Buffer.from(text).toString("latin1").split(" ")];
    const token = routeToken.routeTokenOf(alpn);
    const genuine = !isMalformed(token) && routeToken.isRouteTokenGenuine(token, CLUSTER, KEY);
    this.#counts.tokens.count(isMalformed(token) ? token.malformed : genuine ? "genuine" : "not genuine");
    if (isMalformed(token)) return;
    assert(Number.isSafeInteger(token.counter) && token.mac.length === 16);
    const original = alpn.some((name) => GENUINE_TOKENS.has(name));
    assert.equal(genuine, original, "genuine is what was made with the key, and nothing else");
  }

  /** By a host of the cluster, on either end of a control connection. */
  control(): void {
    const bytes = this.#note(this.#random.input(CONTROL));
    const whole = new controlWire.LineReader().push(bytes);
    const reader = new controlWire.LineReader();
    const at = this.#random.below(bytes.length + 1);
    const [first, second] = [reader.push(bytes.subarray(0, at)), reader.push(bytes.subarray(at))];
    if (isMalformed(whole)) {
      assert(isMalformed(first) || isMalformed(second), "too long, however it is cut");
      this.#counts.control.count(whole.malformed);
      return;
    }
    assert(!isMalformed(first) && !isMalformed(second));
    assert.deepEqual([...first, ...second], whole);
    for (const line of whole) this.#counts.control.count(outcome(controlWire.decodeControl(line) ?? "skipped"));
  }

  /** On a data connection before it carries a client: at the proxy by anybody, at the agent by whoever is on the path. */
  data(): void {
    const bytes = this.#note(this.#random.input(DATA));
    const same = (original: Uint8Array) => Buffer.compare(original, bytes.subarray(0, original.length)) === 0;
    const greeting = dataWire.decodeGreeting(bytes);
    if (greeting !== "incomplete" && !isMalformed(greeting)) {
      const genuine = dataWire.isGreetingGenuine(KEY, greeting, bytes);
      assert.equal(genuine, same(GREETING), "genuine is what was sealed, and nothing else");
    }
    const route = dataWire.decodeRoute(KEY, 1, bytes);
    if (route !== "incomplete" && !isMalformed(route)) {
      assert(same(SEALED_ROUTE));
      assert.deepEqual(route.route, ROUTE);
    }
    const answer = dataWire.decodeAnswer(KEY, 1, bytes);
    if (answer !== "incomplete" && !isMalformed(answer)) assert(same(answer.accepted ? ACCEPT : DECLINE));
    this.#counts.data.count(`greeting ${outcome(greeting)}`);
    this.#counts.data.count(`route ${outcome(route)}`);
    this.#counts.data.count(`answer ${outcome(answer)}`);
  }

  /** One frame's codec: what is read is written again octet by octet. */
  frame(): void {
    const bytes = this.#note(this.#random.input(FRAMES));
    if (bytes.length < linkLimits.HEADER_LEN) return;
    const payload = bytes.subarray(linkLimits.HEADER_LEN);
    const stream = Buffer.from(bytes).readUInt32BE(4);
    const frame = linkWire.decodeFrame(bytes[2]!, stream, payload);
    this.#frames.count(outcome(frame ?? "skipped"));
    if (frame === undefined || isMalformed(frame) || /hello|attach|gone|refused|reset|goaway/.test(frame.type)) return;
    const again = linkWire.encodeFrame(frame);
    assert.equal(Buffer.compare(again.subarray(linkLimits.HEADER_LEN), payload), 0);
  }

  /** A living link's peer goes wild, client's or agent's. Returns how many frames it said. */
  async link(): Promise<number> {
    const peer = new WildPeer(this.#random.below(2) === 0);
    let said = 0;
    peer.say(Buffer.from(HELLO));
    for (; said < FRAMES_PER_LINK && !peer.link.ended; said++) {
      const frame = this.#note(this.#random.below(4) === 0 ? this.#random.input(FRAMES) : this.#plausible());
      peer.say(frame, this.#random.below(frame.length + 1));
      if (said % 8 === 0) await Promise.resolve();
    }
    peer.check();
    const end = peer.link.ended ? await peer.link.closed : undefined;
    // A GOAWAY's text is the peer's own, and anything.
    this.#links.count(/violation: (link\.[a-z-]+)$/.exec(end?.message ?? "")?.[1] ?? end?.closeCode ?? "still living");
    peer.link.close("done");
    await new Promise((resolve) => setImmediate(resolve)); // All that waits in microtasks has happened.
    peer.checkEnded();
    return said;
  }

  /** A well-formed frame, for a stream that may be. */
  #plausible(): Uint8Array {
    const frame = Uint8Array.from(this.#random.oneOf(FRAMES));
    if (Buffer.from(frame).readUInt32BE(4) !== 0) frame[7] = this.#random.below(5);
    return frame;
  }

  #note(bytes: Uint8Array): Uint8Array {
    this.last = Buffer.from(bytes).toString("hex");
    return bytes;
  }
}

/** A real link, and its peer's octets by hand. */
class WildPeer {
  readonly link: Link;
  readonly #carrier = new HandCarrier();
  readonly #streams: { delivered: number; ended: boolean; reset: boolean }[] = [];

  constructor(isServer: boolean) {
    const options = { clock: STILL, counters: new Counters(), log: silentLogger, instance: new Uint8Array(8) };
    this.link = isServer
      ? Link.server(this.#carrier, { ...options, onOpen: (request) => this.#answer(request) })
      : Link.client(this.#carrier, options);
    void this.link.ready.catch(() => {});
    if (!isServer)
      for (let i = 0; i < 3; i++)
        this.link
          .open(i)
          .then((stream) => this.#use(stream))
          .catch(() => {});
  }

  /** In two pieces. */
  say(bytes: Uint8Array, cut = 0): void {
    for (const piece of [bytes.slice(0, cut), bytes.slice(cut)]) {
      if (piece.length > 0 && !this.#carrier.gone) this.#carrier.handler?.data(piece, UNPOOLED);
    }
  }

  check(): void {
    assert(this.link.streams <= linkLimits.MAX_STREAMS);
    for (const { delivered } of this.#streams) assert(delivered <= GRANTED, "no more than was granted");
  }

  checkEnded(): void {
    assert(this.link.ended);
    this.check();
    for (const stream of this.#streams) assert(stream.reset, "a link's end resets what is open");
  }

  #answer(request: OpenRequest): void {
    if (request.port % 3 === 0) request.refuse("port", "no");
    else if (request.port % 3 === 1) this.#use(request.accept());
  }

  #use(stream: ReturnType<OpenRequest["accept"]>): void {
    const seen = { delivered: 0, ended: false, reset: false };
    this.#streams.push(seen);
    const living = () => assert(!seen.reset, "nothing after a reset");
    stream.open({
      data(chunk) {
        living();
        assert(!seen.ended, "no octets after the end");
        seen.delivered += chunk.bytes.length;
        chunk.release();
      },
      end() {
        living();
        assert(!seen.ended, "ended once");
        seen.ended = true;
      },
      reset() {
        living();
        seen.reset = true;
      },
      writable() {
        living();
        stream.write(plainChunk(Uint8Array.of(1)));
      },
    });
    stream.credit(GRANTED);
  }
}

const GRANTED = 10;
/** No time passes: a link of a few frames needs none. */
const STILL: Clock = { now: () => 0, wallMs: () => 0, after: () => ({ cancel() {} }) };

class HandCarrier {
  readonly binding = new Uint8Array(32);
  handler: CarrierHandler | undefined;
  gone = false;
  readonly writable = true;
  start(handler: CarrierHandler): void {
    this.handler = handler;
  }
  write(): void {}
  close(): void {
    this.gone = true;
  }
  destroy(): void {
    this.gone = true;
  }
}

function outcome(value: object | string): string {
  if (typeof value === "string") return value;
  return "malformed" in value ? String(value.malformed) : "accepted";
}

// ---- what the inputs are made from

const TOKEN_FIELDS = [0, 7, 2 ** 40, Number.MAX_SAFE_INTEGER].map((counter) => ({
  sessionId: SESSION,
  instance: routeToken.ANY_INSTANCE,
  counter,
}));
const GENUINE_TOKENS = new Set(TOKEN_FIELDS.map((fields) => routeToken.encodeRouteToken(fields, CLUSTER, KEY)));
const TOKENS = [...GENUINE_TOKENS].map((token) => Buffer.from(token));

const HELLOS = [[], [`${routeToken.LINK_ALPN}`, [...GENUINE_TOKENS][0]!], ["h2", "http/1.1"]].flatMap((alpn) => {
  const message = helloMessage("proxy.example.test", alpn);
  return [inRecords(message, 16_384), inRecords(message, 40)];
});

const CONTROL = [
  controlWire.hello("0011223344556677"),
  { type: "welcome", version: 1, software: "17.7.2", controlId: SESSION },
  { type: "need", idle: 8 },
  { type: "drain" },
  { type: "bye", reason: "the agent is shutting down" },
  { type: "ping", id: 1 },
].map((message) => Buffer.from(`${JSON.stringify(message)}\n{"type":"pong","id":1}\n`));

const GREETING = dataWire.encodeGreeting(KEY, { controlId: SESSION, number: 1 });
const SEALED_ROUTE = dataWire.encodeRoute(KEY, 1, ROUTE);
const ACCEPT = dataWire.encodeAnswer(KEY, 1, true);
const DECLINE = dataWire.encodeAnswer(KEY, 1, false);
const DATA = [GREETING, SEALED_ROUTE, ACCEPT, DECLINE];

const HELLO = linkWire.encodeFrame({
  type: "hello",
  minVersion: 1,
  maxVersion: 1,
  features: 0,
  instance: new Uint8Array(8),
  resumeMs: 60_000,
  transports: 4,
});
const FRAMES = [
  HELLO,
  ...[1, 2, 3].flatMap((stream) => [
    linkWire.encodeFrame({ type: "open", stream, port: stream, window: 4_096 }),
    linkWire.encodeFrame({ type: "opened", stream, window: 4_096 }),
    dataFrame(stream, stream * 5),
    linkWire.encodeFrame({ type: "window", stream, offset: 8_192 }),
  ]),
  linkWire.encodeFrame({ type: "fin", stream: 1, offset: 5 }),
  linkWire.encodeFrame({ type: "refused", stream: 1, code: "limit", text: "später" }),
  linkWire.encodeFrame({ type: "reset", stream: 1, reason: "peer" }),
  linkWire.encodeFrame({ type: "ack", received: 1 }),
  linkWire.encodeFrame({ type: "ping", id: 1 }),
  linkWire.encodeFrame({ type: "pong", id: 1 }),
  linkWire.encodeFrame({ type: "goaway", code: "drain", text: "" }),
  linkWire.encodeFrame({
    type: "attach",
    link: new Uint8Array(16),
    transport: 0,
    generation: 1,
    received: 0,
    proof: new Uint8Array(32),
  }),
  linkWire.encodeFrame({ type: "attached", received: 1, proof: new Uint8Array(32) }),
  linkWire.encodeFrame({ type: "link-gone" }),
];

function dataFrame(stream: number, length: number): Uint8Array {
  const frame = new Uint8Array(linkLimits.HEADER_LEN + length);
  linkWire.writeDataHeader(frame, 0, stream, length);
  return frame;
}

function helloMessage(host: string, alpn: readonly string[]): Buffer {
  const name = Buffer.from(host);
  const list = Buffer.concat(alpn.map((each) => vector(1, Buffer.from(each))));
  const extensions = [
    Buffer.concat([Buffer.of(0, 0), vector(2, vector(2, Buffer.concat([Buffer.of(0), vector(2, name)])))]),
    ...(alpn.length > 0 ? [Buffer.concat([Buffer.of(0, 16), vector(2, vector(2, list))])] : []),
    Buffer.concat([Buffer.of(0, 43), vector(2, Buffer.of(2, 3, 4))]),
  ];
  const parts = [vector(1, Buffer.alloc(32)), vector(2, Buffer.of(19, 1, 19, 2)), vector(1, Buffer.of(0))];
  const body = [Buffer.of(3, 3), Buffer.alloc(32, 9), ...parts, vector(2, Buffer.concat(extensions))];
  return Buffer.concat([Buffer.of(1), vector(3, Buffer.concat(body))]);
}

function vector(lengthOctets: number, body: Uint8Array): Buffer {
  const length = Buffer.alloc(lengthOctets);
  length.writeUIntBE(body.length, 0, lengthOctets);
  return Buffer.concat([length, body]);
}

function inRecords(message: Buffer, recordLen: number): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += recordLen) {
    records.push(Buffer.of(22, 3, 1), vector(2, message.subarray(at, at + recordLen)));
  }
  return Buffer.concat(records);
}
