import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { test } from "node:test";
import { promisify } from "node:util";
import packet from "dns-packet";
import { Counters, createLogger, equal, fromHex, type Logger, silentLogger, systemClock } from "../../base/mod.ts";
import { needs } from "../../testkit/mod.ts";
import type { Transport } from "./asking.ts";
import { MAX_FORWARDS } from "./limits.ts";
import { type Answer, DnsServer, type Resolve } from "./server.ts";

const APP = {
  kind: "addresses",
  v4: Uint8Array.of(100, 64, 0, 9),
  v6: fromHex("fd01000000000000 0000000064400009"),
} satisfies Answer;
const serveApp: Resolve = (host) => (host === "app.company.test" ? APP : { kind: "forward" });

interface Fixture {
  server: DnsServer;
  counters: Counters;
  forwarded: { query: Uint8Array; transport: Transport }[];
}

/** The upstream answers with 192.0.2.1 unless told otherwise. */
function fixture(
  resolve: Resolve = serveApp,
  exchange?: (query: Uint8Array) => Promise<Uint8Array>,
  maxUdpLen = 1452,
  log: Logger = silentLogger,
): Fixture {
  const counters = new Counters();
  const forwarded: Fixture["forwarded"] = [];
  const upstream = {
    close() {},
    exchange: (query: Uint8Array, transport: Transport) => {
      forwarded.push({ query, transport });
      return exchange ? exchange(query) : Promise.resolve(upstreamAnswer(query, "192.0.2.1"));
    },
  };
  const forbidden = (address: Uint8Array) => address[0] === 100;
  const hostAt = (address: Uint8Array) =>
    [APP.v4, APP.v6].some((own) => equal(own!, address)) ? "app.company.test" : undefined;
  return {
    server: new DnsServer({ resolve, upstream, forbidden, hostAt, maxUdpLen, clock: systemClock, counters, log }),
    counters,
    forwarded,
  };
}

function upstreamAnswer(query: Uint8Array, data: string): Uint8Array {
  const { id, questions } = packet.decode(Buffer.from(query));
  const name = questions![0]!.name;
  return packet.encode({
    type: "response",
    id: id!,
    questions: questions!,
    answers: [{ type: "A", name, ttl: 60, data }],
  });
}

function encodeQuery(
  name: string,
  type: string,
  options: { edns?: number; size?: number; qclass?: string } = {},
): Buffer {
  return packet.encode({
    type: "query",
    id: 0xabcd,
    flags: packet.RECURSION_DESIRED,
    questions: [{ name, type: type as packet.RecordType, class: (options.qclass ?? "IN") as packet.RecordClass }],
    additionals: options.edns === undefined ? [] : [optRecord(options.edns, options.size)],
  });
}

function optRecord(version: number, udpPayloadSize = 1232): packet.Answer {
  return {
    type: "OPT",
    name: ".",
    udpPayloadSize,
    extendedRcode: 0,
    ednsVersion: version,
    flags: 0,
    flag_do: false,
    options: [],
  };
}

const rcode = (reply: Uint8Array | undefined) => reply![3]! & 0xf;
const decode = (reply: Uint8Array | undefined) => packet.decode(Buffer.from(reply!));

test("A and AAAA of a served name are answered, in any letter case", async () => {
  const { server, forwarded } = fixture();
  const a = decode(await server.handle(encodeQuery("App.Company.TEST", "A")));
  const [record] = a.answers as [packet.StringAnswer];
  assert.deepEqual([record.data, record.ttl, a.flag_aa, a.id], ["100.64.0.9", 10, true, 0xabcd]);
  const aaaa = decode(await server.handle(encodeQuery("app.company.test", "AAAA")));
  assert.equal((aaaa.answers as [packet.StringAnswer])[0].data, "fd01::6440:9");
  assert.equal(forwarded.length, 0);
});

test("a served name without the family, or asked for HTTPS or SVCB, is NODATA with an SOA", async () => {
  const { server, forwarded } = fixture((host) =>
    host === "v4.test" ? { kind: "addresses", v4: Uint8Array.of(1, 2, 3, 4) } : serveApp(host),
  );
  for (const [name, type] of [
    ["v4.test", "AAAA"],
    ["app.company.test", "UNKNOWN_65"],
    ["app.company.test", "UNKNOWN_64"],
    ["_8443._https.app.company.test", "UNKNOWN_65"],
  ] as const) {
    const query = encodeQuery(name, type === "AAAA" ? type : "A");
    if (type !== "AAAA") query[query.length - 3] = Number(type.slice(8)); // not in dns-packet
    const reply = await server.handle(query);
    assert.equal(rcode(reply), 0);
    const { answers, authorities, flag_aa } = decode(reply);
    assert.deepEqual([answers!.length, authorities![0]!.type, flag_aa], [0, "SOA", true], name);
  }
  assert.equal(forwarded.length, 0);
});

test("everything else is forwarded byte for byte", async () => {
  const { server, forwarded } = fixture();
  const highOctet = encodeQuery("app.company.test", "A");
  highOctet[13] = 0xe1;
  const update = encodeQuery("app.company.test", "A");
  update[2] = 0x28; // opcode 5
  const queries = [
    encodeQuery("www.example.com", "A", { edns: 0 }),
    encodeQuery("app.company.test", "TXT"),
    encodeQuery("_db._tcp.app.company.test", "SRV"),
    encodeQuery("app.company.test", "MX"),
    encodeQuery("app.company.test", "A", { qclass: "CH" }),
    encodeQuery("xn--nxasmq6b.test", "AAAA"),
    highOctet,
    update,
  ];
  for (const query of queries) {
    const lent = new Uint8Array(query);
    const reply = server.handle(lent, "tcp");
    lent.fill(0xdd); // it was the caller's again when `handle` returned
    await reply;
  }
  assert.deepEqual(
    forwarded,
    queries.map((query) => ({ query: new Uint8Array(query), transport: "tcp" })),
  );
});

test("bad queries get FORMERR; what cannot be a query gets nothing", async () => {
  const { server, counters } = fixture();
  const query = encodeQuery("app.company.test", "A");
  const two = Buffer.from(query);
  two[5] = 2;
  for (const bad of [
    two,
    query.subarray(0, -1),
    query.subarray(0, 12),
    Buffer.concat([query.subarray(0, 12), Buffer.of(0xc0, 12, 0, 1, 0, 1)]),
  ]) {
    const reply = await server.handle(bad);
    assert.equal(rcode(reply), 1);
    assert.deepEqual([...reply!.subarray(0, 2), reply!.length], [0xab, 0xcd, 12]);
  }
  const response = Buffer.from(query);
  response[2]! |= 0x80;
  for (const dropped of [Buffer.alloc(0), query.subarray(0, 11), response]) {
    assert.equal(await server.handle(dropped), undefined);
  }
  assert.equal(counters.get("dns.dropped"), 3);
});

test("OPT is answered by OPT; an unknown version of it by BADVERS", async () => {
  const { server } = fixture();
  const plain = decode(await server.handle(encodeQuery("app.company.test", "A", { edns: 0 })));
  assert.deepEqual([plain.additionals!.length, plain.additionals![0]!.type], [1, "OPT"]);
  const bad = decode(await server.handle(encodeQuery("app.company.test", "A", { edns: 1 })));
  assert.deepEqual([(bad.additionals![0] as packet.OptAnswer).extendedRcode, bad.answers!.length], [1, 0]);
});

test("failure of search or upstream is SERVFAIL, never silence", async () => {
  const gone = () => Promise.reject(new Error("gone"));
  const failing: Resolve[] = [
    () => ({ kind: "fail", reason: "no free address" }),
    () => {
      throw new Error("bug");
    },
    () => ({ kind: "forward" }),
  ];
  for (const resolve of failing) {
    const { server } = fixture(resolve, gone);
    const reply = await server.handle(encodeQuery("app.company.test", "A", { edns: 0 }));
    assert.equal(rcode(reply), 2);
    assert.equal(decode(reply).questions![0]!.name, "app.company.test");
  }
  const { server } = fixture(serveApp, gone);
  const update = encodeQuery("a.test", "A");
  update[2] = 0x28;
  assert.equal(rcode(await server.handle(update)), 2);
});

test("a reason for which names cannot be resolved is told once, not once per query", async () => {
  const lines: string[] = [];
  const log = createLogger({ level: "info", format: "json", write: (line) => void lines.push(JSON.parse(line).msg) });
  const resolve: Resolve = (host) => ({ kind: "fail", reason: host.startsWith("a") ? "range full" : "bad range" });
  const { server, counters } = fixture(resolve, undefined, 1452, log);
  for (const name of ["a1.test", "a2.test", "a1.test", "b.test"]) await server.handle(encodeQuery(name, "A"));
  assert.deepEqual(lines, [
    "the name a1.test cannot be resolved: range full",
    "the name b.test cannot be resolved: bad range",
  ]);
  assert.equal(counters.get("dns.resolve-failed"), 4);
});

test("addresses of ours are taken out of a stranger's answer", async () => {
  const { server, counters } = fixture(serveApp, (query) => Promise.resolve(upstreamAnswer(query, "100.64.0.9")));
  const reply = await server.handle(encodeQuery("evil.example.com", "A"));
  assert.deepEqual([rcode(reply), decode(reply).answers!.length, counters.get("dns.filtered")], [0, 0, 1]);
});

test("an answer longer than a datagram may be is cut and marked; over TCP it passes", async () => {
  const long = (query: Uint8Array) => {
    const { id, questions } = packet.decode(Buffer.from(query));
    const answers = Array.from(
      { length: 100 },
      (): packet.Answer => ({ type: "A", name: "www.example.com", ttl: 1, data: "192.0.2.1" }),
    );
    return Promise.resolve<Uint8Array>(packet.encode({ type: "response", id: id!, questions: questions!, answers }));
  };
  const { server } = fixture(serveApp, long);
  const query = encodeQuery("www.example.com", "A", { edns: 0 });
  const cut = decode(await server.handle(query));
  assert.deepEqual([cut.flag_tc, cut.answers!.length, cut.questions!.length], [true, 0, 1]);
  const whole = decode(await server.handle(query, "tcp"));
  assert.deepEqual([whole.flag_tc, whole.answers!.length], [false, 100]);
});

test("a client gets no more octets in a datagram than it said, 512 where it said nothing or less", async () => {
  const sized = (length: number) => (query: Uint8Array) => {
    const answer = upstreamAnswer(query, "192.0.2.1");
    const out = new Uint8Array(length);
    out.set(answer);
    out.set([0, 0, 16, 0, 1, 0, 0, 0, 1], answer.length); // and a TXT that fills it
    const rest = length - answer.length - 11;
    out.set([rest >> 8, rest & 0xff], answer.length + 9);
    out[7] = 2;
    return Promise.resolve(out);
  };
  for (const [length, size, edns, cut] of [
    [512, 0, false, false],
    [513, 0, false, true],
    [512, 100, true, false],
    [513, 100, true, true],
    [1232, 1232, true, false],
    [1233, 1232, true, true],
    [4095, 4096, true, false],
    [4097, 4096, true, true],
    [9000, 65_535, true, false],
    [9001, 65_535, true, true],
  ] as const) {
    const { server } = fixture(serveApp, sized(length), 9000);
    const query = encodeQuery("www.example.com", "A", edns ? { edns: 0, size } : {});
    const reply = await server.handle(query);
    const what = `${length} octets for a client that takes ${size}`;
    assert.equal((reply![2]! & 0x02) !== 0, cut, what);
    assert.equal(reply!.length, cut ? query.length - (edns ? 11 : 0) : length, what);
    assert.equal((await server.handle(query, "tcp"))!.length, length);
  }
});

test("the PTR of an address that a name has is answered; those of all others are forwarded", async () => {
  const { server, forwarded } = fixture();
  const v6 = "9.0.0.0.0.4.4.6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.d.f.ip6.arpa";
  for (const name of ["9.0.64.100.in-addr.arpa", "9.0.64.100.IN-ADDR.Arpa", v6, v6.toUpperCase()]) {
    const reply = decode(await server.handle(encodeQuery(name, "PTR", { edns: 0 })));
    const [record] = reply.answers as [packet.StringAnswer];
    assert.deepEqual([record.type, record.data, record.ttl], ["PTR", "app.company.test", 10]);
    assert.deepEqual([reply.flag_aa, reply.additionals!.length], [true, 1]);
  }
  assert.equal(forwarded.length, 0);
  const others = ["10.0.64.100.in-addr.arpa", "0.64.100.in-addr.arpa", "09.0.64.100.in-addr.arpa", v6.slice(2)];
  for (const name of others) await server.handle(encodeQuery(name, "PTR"));
  await server.handle(encodeQuery("9.0.64.100.in-addr.arpa", "A"));
  assert.equal(forwarded.length, others.length + 1);
  assert.equal(rcode(await server.handle(encodeQuery("9.0.64.100.in-addr.arpa", "PTR", { edns: 1 }))), 0);
});

test("an assigned name is answered in the same turn, one that is not only after the upstream", async () => {
  const { server } = fixture();
  for (const type of ["A", "AAAA", "MX"]) {
    const reply = server.handle(encodeQuery("app.company.test", type));
    assert.equal(reply instanceof Promise, type === "MX", type);
    await reply;
  }
});

test("forwards under way are bounded, and the excess fails at once", async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { server, counters } = fixture(serveApp, async (query) => {
    await gate;
    return upstreamAnswer(query, "192.0.2.1");
  });
  const query = encodeQuery("www.example.com", "A");
  const waiting = Array.from({ length: MAX_FORWARDS }, async () => server.handle(query));
  assert.equal(rcode(await server.handle(query)), 2);
  assert.equal(counters.get("dns.forwards-full"), 1);
  release();
  assert.ok((await Promise.all(waiting)).every((reply) => rcode(reply) === 0));
  assert.equal(rcode(await server.handle(query)), 0);
});

test("random octets never make it throw", async () => {
  const seed = Date.now() >>> 0;
  console.log(`seed ${seed}`);
  let state = seed || 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
  const { server } = fixture(serveApp, (query) =>
    Promise.resolve(Uint8Array.from(query, (octet) => (random() < 8 ? random() : octet))),
  );
  const until = performance.now() + 300;
  while (performance.now() < until) {
    const query = encodeQuery(random() < 128 ? "app.company.test" : "www.example.com", random() < 128 ? "A" : "MX", {
      edns: 0,
    });
    for (let i = random() % 3; i > 0; i--) query[random() % query.length] = random();
    await server.handle(query);
  }
});

// dig is a client that we did not write, with EDNS and a cookie.
test("dig reads our answers", needs("dig"), async (t) => {
  const { server } = fixture();
  const socket = createSocket("udp4");
  socket.on("message", async (message, from) => {
    const reply = await server.handle(message);
    if (reply) socket.send(reply, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  t.after(() => socket.close());
  const dig = async (...args: string[]) =>
    (
      await promisify(execFile)("dig", [
        "@127.0.0.1",
        "-p",
        String(socket.address().port),
        "+tries=1",
        "+time=2",
        ...args,
      ])
    ).stdout;
  assert.equal(await dig("+short", "app.company.test", "A"), "100.64.0.9\n");
  assert.equal(await dig("+short", "app.company.test", "AAAA"), "fd01::6440:9\n");
  const https = await dig("app.company.test", "HTTPS");
  assert.match(https, /status: NOERROR/);
  assert.match(https, /flags: qr aa rd ra; QUERY: 1, ANSWER: 0, AUTHORITY: 1, ADDITIONAL: 1/);
  assert.match(https, /SOA\s+app\.company\.test\. hostmaster\.app\.company\.test\. 1 10 10 10 10/);
  assert.doesNotMatch(https, /WARNING|malformed/i);
});
