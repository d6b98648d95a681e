import assert from "node:assert/strict";
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { type TestContext, test } from "node:test";
import packet from "dns-packet";
import { type Clock, Counters, systemClock } from "../../base/mod.ts";
import { UpstreamError } from "../errors.ts";
import { type Asker, framed, isAnswerTo, type Transport } from "./asking.ts";
import { Upstreams } from "./upstreams.ts";
import { withoutServers } from "./without-servers.ts";

const QUERY = packet.encode({ type: "query", id: 0x1234, questions: [{ name: "www.example.com", type: "A" }] });

function answer(data = "192.0.2.1", change: Partial<packet.Packet> = {}): Buffer {
  const questions: packet.Question[] = [{ name: "www.example.com", type: "A" }];
  const answers: packet.Answer[] = [{ type: "A", name: "www.example.com", ttl: 60, data }];
  return packet.encode({ type: "response", id: 0x1234, questions, answers, ...change });
}

function refusal(rcode: number): Buffer {
  const message = answer("", { answers: [] });
  message[3]! |= rcode;
  return message;
}

/** With EDNS: the client takes so many octets. */
function queryOfSize(udpPayloadSize: number): Buffer {
  const opt = { extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options: [] };
  return packet.encode({
    type: "query",
    id: 0x1234,
    questions: [{ name: "www.example.com", type: "A" }],
    additionals: [{ type: "OPT", name: ".", udpPayloadSize, ...opt }],
  });
}

test("own addresses and stubs are excluded however they are written", () => {
  const servers = ["127.0.0.53", "192.0.2.1", "FD00:0::2", "garbage"];
  assert.deepEqual(withoutServers(servers, ["127.0.0.53", "fd00::2"]), ["192.0.2.1"]);
});

test("only the answer to the question counts", () => {
  const other = (change: Partial<packet.Packet>) => answer("192.0.2.1", change);
  assert.ok(isAnswerTo(QUERY, answer()));
  assert.ok(isAnswerTo(QUERY, other({ questions: [{ name: "WWW.Example.com", type: "A" }] })));
  assert.ok(isAnswerTo(QUERY, Buffer.from("123480010000000000000000", "hex"))); // FORMERR, header only
  const bad: Record<string, Uint8Array> = {
    id: other({ id: 0x1235 }),
    query: QUERY,
    name: other({ questions: [{ name: "www.example.org", type: "A" }] }),
    type: other({ questions: [{ name: "www.example.com", type: "AAAA" }] }),
    "no question": other({ questions: [] }),
    "two questions": other({
      questions: [
        { name: "www.example.com", type: "A" },
        { name: "b", type: "A" },
      ],
    }),
    short: answer().subarray(0, 11),
    cut: answer().subarray(0, 20),
  };
  for (const [what, message] of Object.entries(bad)) assert.ok(!isAnswerTo(QUERY, message), what);
});

/** A clock that is turned by hand. */
function handClock(): { clock: Clock; advance(ms: number): Promise<void> } {
  const timers = new Set<{ at: number; run: () => void }>();
  let now = 0;
  const clock: Clock = {
    now: () => now,
    wallMs: () => now,
    after(delayMs, run) {
      const timer = { at: now + delayMs, run };
      timers.add(timer);
      return { cancel: () => timers.delete(timer) };
    },
  };
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    clock,
    async advance(ms) {
      const until = now + ms;
      for (;;) {
        await settle();
        const due = [...timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
        if (!due) break;
        timers.delete(due);
        now = due.at;
        due.run();
      }
      now = until;
    },
  };
}

type Ask = (server: string, transport: Transport, signal: AbortSignal) => Promise<Uint8Array>;

/** Servers as a function whose signal is aborted when the question is given up. */
function askerOf(ask: Ask): Asker {
  return {
    close() {},
    ask(server, _query, transport, done) {
      const abort = new AbortController();
      ask(server, transport, abort.signal).then(
        (answer) => abort.signal.aborted || done(answer),
        (error) => abort.signal.aborted || done(error),
      );
      return { cancel: () => abort.abort(new Error("given up")) };
    },
  };
}

/** Servers as a table: an answer, a failure, or silence until the signal. */
function upstreams(behaviour: Record<string, Buffer | Error | "silent">) {
  const { clock, advance } = handClock();
  const asked: string[] = [];
  const abandoned: string[] = [];
  const ask: Ask = (server, _transport, signal) => {
    asked.push(`${server}@${clock.now()}`);
    const what = behaviour[server]!;
    if (what instanceof Error) return Promise.reject(what);
    if (what !== "silent") return Promise.resolve(what);
    return new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => {
        abandoned.push(server);
        reject(signal.reason);
      });
    });
  };
  const counters = new Counters();
  return {
    it: new Upstreams({ servers: () => Object.keys(behaviour), clock, counters, asker: askerOf(ask) }),
    asked,
    abandoned,
    advance,
    counters,
  };
}

test("a silent server is hedged after 200 ms, in order, and the first answer ends the rest", async () => {
  const { it, asked, abandoned, advance } = upstreams({ a: "silent", b: "silent", c: answer(), d: answer() });
  const result = it.exchange(QUERY, "udp");
  await advance(1_000);
  assert.deepEqual(new Uint8Array(await result), new Uint8Array(answer()));
  assert.deepEqual(asked, ["a@0", "b@200", "c@400"]);
  assert.deepEqual(abandoned, ["a", "b"]);
});

test("a failure or a refusal moves on at once", async () => {
  const { it, asked } = upstreams({ a: new Error("unreachable"), b: refusal(5), c: answer() });
  assert.deepEqual(new Uint8Array(await it.exchange(QUERY, "udp")), new Uint8Array(answer()));
  assert.deepEqual(asked, ["a@0", "b@0", "c@0"]);
});

test("a refusal is passed on when nobody has anything better", async () => {
  const { it } = upstreams({ a: refusal(2), b: new Error("unreachable") });
  assert.equal((await it.exchange(QUERY, "udp"))[3]! & 0xf, 2);
});

test("no server, only failures, or only silence for 5 s is an UpstreamError", async () => {
  await assert.rejects(upstreams({}).it.exchange(QUERY, "udp"), /no upstream DNS server is known/);
  await assert.rejects(upstreams({ a: new Error("unreachable") }).it.exchange(QUERY, "udp"), UpstreamError);
  const { it, advance, abandoned, counters } = upstreams({ a: "silent", b: "silent" });
  const result = assert.rejects(it.exchange(QUERY, "udp"), /answered within 5 s/);
  await advance(4_999);
  assert.deepEqual(abandoned, []);
  await advance(1);
  await result;
  assert.deepEqual(abandoned, ["a", "b"]);
  assert.equal(counters.get("dns.forward-failed"), 1);
});

test("a server that failed or was silent is asked last for 30 s, then has its place again", async () => {
  for (const bad of ["silent", new Error("unreachable")] as const) {
    const behaviour: Record<string, Buffer | Error | "silent"> = { a: bad, b: answer() };
    const { it, asked, advance } = upstreams(behaviour);
    const exchange = async () => {
      asked.length = 0;
      const result = it.exchange(QUERY, "udp");
      await advance(1_000);
      await result;
      return asked.map((each) => each[0]).join("");
    };
    assert.equal(await exchange(), "ab");
    assert.deepEqual(
      it.servers().map(({ address, failed }) => [address, failed]),
      [
        ["b", false],
        ["a", true],
      ],
    );
    assert.equal(await exchange(), "b");
    behaviour.a = answer();
    await advance(27_500);
    assert.equal(await exchange(), "b");
    assert.equal(await exchange(), "a", "after 30 s");
  }
});

test("a server that failed is believed again as soon as it answers; all that failed are asked in order", async () => {
  const behaviour: Record<string, Buffer | Error | "silent"> = { a: new Error("down"), b: new Error("down") };
  const { it, asked } = upstreams(behaviour);
  await assert.rejects(it.exchange(QUERY, "udp"));
  behaviour.b = answer();
  await it.exchange(QUERY, "udp");
  assert.deepEqual(asked, ["a@0", "b@0", "a@0", "b@0"]);
  await it.exchange(QUERY, "udp");
  assert.deepEqual(asked.slice(4), ["b@0"]);
});

test("the list of servers is read once a second, and at once after a failure", async () => {
  const { clock, advance } = handClock();
  let reads = 0;
  let list = ["a"];
  const asked: string[] = [];
  const it = new Upstreams({
    servers: () => {
      reads++;
      return list;
    },
    clock,
    counters: new Counters(),
    asker: askerOf((server) => {
      asked.push(server);
      return server === "gone" ? Promise.reject(new Error("gone")) : Promise.resolve(answer());
    }),
  });
  for (let i = 0; i < 5; i++) await it.exchange(QUERY, "udp");
  assert.equal(reads, 1);
  list = ["gone"];
  await advance(1_000);
  await assert.rejects(it.exchange(QUERY, "udp"));
  list = ["b"];
  await it.exchange(QUERY, "udp");
  assert.deepEqual([asked.at(-1), reads], ["b", 3]);
});

test("a cut answer is fetched whole over TCP for a client that takes more; else the client does so", async () => {
  const whole = answer("192.0.2.7");
  const cut = answer("192.0.2.1", { flags: packet.TRUNCATED_RESPONSE, answers: [] });
  for (const [query, tcp, expected, transports] of [
    [queryOfSize(1232), "answers", whole, ["udp", "tcp"]],
    [queryOfSize(512), "answers", cut, ["udp"]],
    [QUERY, "answers", cut, ["udp"]],
    [queryOfSize(4096), "fails", cut, ["udp", "tcp"]],
    [queryOfSize(4096), "is silent", cut, ["udp", "tcp"]],
  ] as const) {
    const { clock, advance } = handClock();
    const used: string[] = [];
    const it = new Upstreams({
      servers: () => ["a"],
      clock,
      counters: new Counters(),
      asker: askerOf((_server, transport, signal) => {
        used.push(transport);
        if (transport === "udp") return Promise.resolve(cut);
        if (tcp === "answers") return Promise.resolve(whole);
        return tcp === "fails"
          ? Promise.reject(new Error("refused"))
          : new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      }),
    });
    const result = it.exchange(query, "udp");
    await advance(3_000);
    assert.deepEqual([await result, used], [expected, transports], tcp);
  }
});

test("a server that cut its answer and is slow over TCP has not failed", async () => {
  const { clock, advance } = handClock();
  const it = new Upstreams({
    servers: () => ["a", "b"],
    clock,
    counters: new Counters(),
    asker: askerOf((server, transport) => {
      if (server === "b") return Promise.resolve(answer());
      const cut = answer("192.0.2.1", { flags: packet.TRUNCATED_RESPONSE, answers: [] });
      return transport === "udp" ? Promise.resolve(cut) : new Promise(() => {});
    }),
  });
  const result = it.exchange(queryOfSize(4096), "udp");
  await advance(1_000);
  assert.deepEqual(await result, answer(), "the next one was asked meanwhile");
  assert.deepEqual(
    it.servers().map(({ address, failed }) => [address, failed]),
    [
      ["a", false],
      ["b", false],
    ],
  );
});

test("closing gives up at once what is under way, and what comes later", async () => {
  const { it, abandoned } = upstreams({ a: "silent" });
  const underWay = assert.rejects(it.exchange(QUERY, "udp"), UpstreamError);
  it.close();
  await underWay;
  assert.deepEqual(abandoned, ["a"]);
  await assert.rejects(it.exchange(QUERY, "udp"), UpstreamError);
});

async function udpServer(
  t: TestContext,
  address: string,
  port: number,
  onQuery: (send: (m: Uint8Array) => void, from: RemoteInfo) => void,
) {
  const socket = createSocket("udp4");
  socket.on("message", (_message, from) => onQuery((reply) => socket.send(reply, from.port, from.address), from));
  socket.bind(port, address);
  await once(socket, "listening");
  t.after(() => socket.close());
  return socket.address().port;
}

const overSockets = (servers: string[], port: number) =>
  new Upstreams({ servers: () => servers, port, clock: systemClock, counters: new Counters() });

test("over real sockets: wrong ids and other sources are ignored, ports differ per query", async (t) => {
  const ports = new Set<number>();
  const stranger = createSocket("udp4");
  t.after(() => stranger.close());
  const port = await udpServer(t, "127.0.0.1", 0, (send, from) => {
    ports.add(from.port);
    stranger.send(answer("192.0.2.66"), from.port, from.address);
    send(answer("192.0.2.66", { id: 1 }));
    setTimeout(() => send(answer()), 20);
  });
  for (let i = 0; i < 3; i++) {
    const got = packet.decode(Buffer.from(await overSockets(["127.0.0.1"], port).exchange(QUERY, "udp")));
    assert.equal((got.answers as [packet.StringAnswer])[0].data, "192.0.2.1");
  }
  assert.ok(ports.size > 1);
});

test("over real sockets: a closed port moves on at once", async (t) => {
  const port = await udpServer(t, "127.0.0.2", 0, (send) => send(answer()));
  const started = performance.now();
  await overSockets(["127.0.0.1", "127.0.0.2"], port).exchange(QUERY, "udp");
  assert.ok(performance.now() - started < 150, "the ICMP error was waited out");
  await assert.rejects(overSockets(["127.0.0.1"], port).exchange(QUERY, "udp"), UpstreamError);
});

test("over TCP: an answer in pieces is put together; an early end is a failure", async (t) => {
  const big = answer("192.0.2.1", {
    answers: Array.from(
      { length: 200 },
      (_, i): packet.Answer => ({ type: "A", name: "www.example.com", ttl: 1, data: `192.0.2.${i}` }),
    ),
  });
  let early = false;
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.once("data", (data: Buffer) => {
      assert.deepEqual(new Uint8Array(data), new Uint8Array(framed(QUERY)));
      const reply = framed(big);
      for (const [from, to] of [
        [0, 1],
        [1, 2],
        [2, 700],
      ] as const)
        socket.write(reply.subarray(from, to));
      setTimeout(() => socket.end(early ? "" : reply.subarray(700)), 10);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  assert.deepEqual(new Uint8Array(await overSockets(["127.0.0.1"], port).exchange(QUERY, "tcp")), new Uint8Array(big));
  early = true;
  await assert.rejects(overSockets(["127.0.0.1"], port).exchange(QUERY, "tcp"), UpstreamError);
});
