import assert from "node:assert/strict";
import { test } from "node:test";
import packet from "dns-packet";
import { concat, fromHex, isMalformed, type Malformed } from "../../base/mod.ts";
import {
  addressOfReverse,
  addressReply,
  decodeQuery,
  decodeQuestion,
  encodeHost,
  encodeName,
  errorReply,
  noDataReply,
  type Query,
  Rcode,
  readName,
  sameQuestion,
  withoutAddresses,
} from "./mod.ts";

function ok<T extends object>(value: T | Malformed): T {
  assert(!isMalformed(value), isMalformed(value) ? value.malformed : "");
  return value;
}
const reason = (value: object) => (isMalformed(value) ? value.malformed : "accepted");
const header = (counts = "0001 0000 0000 0000") => `1234 0100 ${counts}`;

test("a name is read as labels, whatever octets they hold", () => {
  const message = fromHex(`${header()} 03 612e62 01 ff 04 54455354 00`);
  const read = ok(readName(message, 12));
  assert.deepEqual(
    read.name.map((label) => Buffer.from(label).toString("latin1")),
    ["a.b", "\xff", "TEST"],
  );
  assert.equal(read.end, message.length);
});

const hostIn = (hex: string) => ok(decodeQuestion(fromHex(`${header()}${hex} 0001 0001`))).host;

test("a question's name is a host's where its labels are, in lower case", () => {
  assert.equal(hostIn("07 5443502d417070 04 74457374 00"), "tcp-app.test");
  assert.equal(hostIn("05 5f38343433 01 61 00"), "_8443.a");
  for (const other of ["00", "03 612e62 00", "01 ff 00", "01 20 01 61 00", "01 61 02 6140 00"]) {
    assert.equal(hostIn(other), undefined, other);
  }
});

test("the same question: letter case apart, octet by octet", () => {
  const asked = encodeQuery("a.test", "A");
  assert.ok(sameQuestion(asked, encodeQuery("A.tEsT", "A")));
  for (const other of [encodeQuery("a.test", "AAAA"), encodeQuery("a.tesT.x", "A"), encodeQuery("a.tess", "A")]) {
    assert.ok(!sameQuestion(asked, other));
    assert.ok(!sameQuestion(other, asked));
  }
  for (let length = 0; length < asked.length; length++) {
    assert.ok(!sameQuestion(asked, asked.subarray(0, length)) && !sameQuestion(asked.subarray(0, length), asked));
  }
  const brackets = fromHex(`${header()}01 5b 00 0001 0001`); // [ and { differ by the bit of letter case only
  assert.ok(!sameQuestion(brackets, fromHex(`${header()}01 7b 00 0001 0001`)));
});

test("names that lie are refused, each for its own reason", () => {
  const label63 = `3f ${"61".repeat(63)}`;
  for (const [hex, expected] of [
    ["", "dns.name-truncated"],
    ["03 6161", "dns.name-truncated"],
    ["01 61", "dns.name-truncated"],
    ["c0", "dns.name-truncated"],
    ["c00c", "dns.name-pointer"], // at itself
    ["01 61 c00c", "dns.name-pointer"], // at its own start: a loop
    ["c00f", "dns.name-pointer"], // forwards
    ["c004", "dns.name-pointer"], // into the header
    ["40 00", "dns.label-type"],
    ["80 00", "dns.label-type"],
    [`${label63} ${label63} ${label63} ${label63} 00`, "dns.name-length"],
    [`${label63} ${label63} ${label63} 3e ${"61".repeat(62)} 00`, "dns.name-length"],
    [`${label63} ${label63} ${label63} 3d ${"61".repeat(61)} 00`, "accepted"],
  ] as const) {
    assert.equal(reason(readName(fromHex(header() + hex), 12)), expected, hex);
  }
});

test("a pointer leads before the labels just read, not only before the name", () => {
  const message = fromHex(`${header()} c00e 00 00 c00c`); // at 16: to 12, and from there onwards to 14
  assert.equal(reason(readName(message, 16)), "dns.name-pointer");
});

test("a chain of pointers is bounded", () => {
  const chain = (length: number) => {
    const message = Buffer.alloc(12 + 1 + 2 * length);
    for (let i = 0; i < length; i++) message.writeUInt16BE(0xc000 | (i === 0 ? 12 : 11 + 2 * i), 13 + 2 * i);
    return reason(readName(message, message.length - 2));
  };
  assert.equal(chain(32), "accepted");
  assert.equal(chain(33), "dns.name-pointer");
});

test("a question's name is refused for the same reasons, and no pointer in it leads anywhere", () => {
  const label63 = `3f ${"61".repeat(63)}`;
  for (const [hex, expected] of [
    ["", "dns.name-truncated"],
    ["03 6161", "dns.name-truncated"],
    ["c0", "dns.name-truncated"],
    ["c00c", "dns.name-pointer"],
    ["01 61 c00c", "dns.name-pointer"],
    ["80 00", "dns.label-type"],
    [`${label63} ${label63} ${label63} 3e ${"61".repeat(62)} 00`, "dns.name-length"],
    [`${label63} ${label63} ${label63} 3d ${"61".repeat(61)} 00`, "dns.truncated"], // its type is missing
    ["01 61 00 0001 00", "dns.truncated"],
  ] as const) {
    assert.equal(reason(decodeQuestion(fromHex(header() + hex))), expected, hex);
  }
});

test("encodeHost refuses what no question could mean", () => {
  for (const bad of ["", ".", "a..b", "a.b..", "x".repeat(64), "ä.test", "a b", `${"a.".repeat(127)}a.b`]) {
    assert.ok(isMalformed(encodeHost(bad)), bad);
  }
  assert.deepEqual(encodeHost("_1.a."), fromHex("02 5f31 01 61 00"));
});

function query(host: string, type: packet.RecordType | "HTTPS" | "SVCB" = "A", udpSize?: number): Query {
  return ok(decodeQuery(encodeQuery(host, type, udpSize)));
}

function encodeQuery(host: string, type: string, udpSize?: number): Uint8Array {
  return packet.encode({
    type: "query",
    id: 0x1234,
    flags: packet.RECURSION_DESIRED,
    questions: [{ name: host, type: type as packet.RecordType, class: "IN" }],
    ...(udpSize && {
      additionals: [
        {
          type: "OPT",
          name: ".",
          udpPayloadSize: udpSize,
          extendedRcode: 0,
          ednsVersion: 0,
          flags: 0x8000,
          flag_do: true,
          options: [],
        },
      ],
    }),
  });
}

test("a query's question and OPT agree with dns-packet", () => {
  const { header, question, edns } = query("Tcp-App.company.test", "AAAA", 1400);
  assert.equal(header.id, 0x1234);
  assert.equal(question.host, "tcp-app.company.test");
  assert.equal(question.type, 28);
  assert.equal(question.class, 1);
  assert.deepEqual(edns, { udpSize: 1400, version: 0, dnssecOk: true });
  assert.equal(query("a.test").edns, undefined);
});

test("queries that lie are refused, each for its own reason", () => {
  const question = "01 61 00 0001 0001";
  const opt = "00 0029 0400 00000000 0000";
  for (const [hex, expected] of [
    ["1234 0100 0001", "dns.truncated"],
    [header("0000 0000 0000 0000"), "dns.question-count"],
    [header("0002 0000 0000 0000") + question + question, "dns.question-count"],
    [`${header()}01 61 00 0001`, "dns.truncated"],
    [header("0001 0000 0000 0001") + question, "dns.name-truncated"],
    [header("0001 0000 0000 0001") + question + opt.slice(0, 20), "dns.truncated"],
    [header("0001 0000 0000 0001") + question + opt.replace(/0000$/, "0001"), "dns.truncated"],
    [header("0001 0000 0000 0002") + question + opt + opt, "dns.opt"],
    [`${header("0001 0000 0000 0001") + question}01 61 ${opt}`, "dns.opt"],
    [header("0001 ffff ffff ffff") + question, "dns.record-count"],
    [header("0001 0000 0000 0001") + question + opt, "accepted"],
  ] as const) {
    assert.equal(reason(decodeQuery(fromHex(hex))), expected, hex);
  }
});

/** Missing in the package's types. */
const rcodeOf = (message: packet.DecodedPacket) => (message as unknown as { rcode: string }).rcode;

test("replies read by dns-packet are what was meant", () => {
  const v4 = packet.decode(Buffer.from(addressReply(query("A.Test", "A", 4096), Uint8Array.of(100, 64, 0, 9), 10)));
  assert.equal(v4.id, 0x1234);
  assert.deepEqual(
    [v4.flag_qr, v4.flag_aa, v4.flag_ra, v4.flag_rd, v4.flag_tc, rcodeOf(v4)],
    [true, true, true, true, false, "NOERROR"],
  );
  assert.deepEqual(v4.questions, [{ name: "A.Test", type: "A", class: "IN" }]); // letter case echoed
  const [a] = v4.answers!;
  assert.deepEqual(
    { ...a, flush: undefined },
    { name: "A.Test", type: "A", ttl: 10, class: "IN", flush: undefined, data: "100.64.0.9" },
  );
  assert.equal(v4.additionals![0]!.type, "OPT");

  const v6 = packet.decode(
    Buffer.from(addressReply(query("a.test", "AAAA"), fromHex("fd01 0000 0000 0000 0000 0000 6440 0009"), 10)),
  );
  assert.equal((v6.answers![0] as packet.StringAnswer).data, "fd01::6440:9");
  assert.equal(v6.additionals!.length, 0);

  const none = packet.decode(Buffer.from(noDataReply(query("_8443._https.a.test", "HTTPS"), "a.test".length + 2, 10)));
  assert.equal(none.answers!.length, 0);
  const [soa] = none.authorities as [packet.SoaAnswer];
  assert.equal(soa.name, "a.test");
  assert.equal(soa.data.mname, "a.test");
  assert.equal(soa.data.rname, "hostmaster.a.test");
  assert.equal(soa.data.minimum, 10);

  const bad = Buffer.from(errorReply(query("a.test", "A", 512), Rcode.BADVERS));
  assert.equal(bad[3]! & 0xf, 0);
  assert.equal((packet.decode(bad).additionals![0] as packet.OptAnswer).extendedRcode, 1);
});

test("only a whole address has a reverse name", () => {
  const v6 = "8.b.d.0.1.0.0.2.ip6.arpa";
  const zeros = "0.".repeat(24);
  for (const [host, expected] of [
    ["4.3.2.1.in-addr.arpa", "01020304"],
    ["255.0.0.10.in-addr.arpa", "0a0000ff"],
    [zeros + v6, `20010db8${"00".repeat(12)}`],
    ["256.0.0.10.in-addr.arpa", undefined],
    ["01.0.0.10.in-addr.arpa", undefined],
    ["0.0.10.in-addr.arpa", undefined],
    ["1.0.0.0.10.in-addr.arpa", undefined],
    ["x.0.0.10.in-addr.arpa", undefined],
    ["in-addr.arpa", undefined],
    ["1.0.0.10.in-addr.arpa.test", undefined],
    [zeros.slice(2) + v6, undefined],
    [`0.${zeros}${v6}`, undefined],
    [`00.${zeros.slice(2)}${v6}`, undefined],
    [`g.${zeros.slice(2)}${v6}`, undefined],
  ] as const) {
    const address = addressOfReverse(host);
    assert.equal(address && Buffer.from(address).toString("hex"), expected, host);
  }
});

const forbidden = (address: Uint8Array) => address[0] === 100 || address[0] === 0xfd;

function upstreamAnswer(answers: packet.Answer[], additionals: packet.Answer[] = []): Buffer {
  const questions: packet.Question[] = [{ name: "evil.example.com", type: "A", class: "IN" }];
  return packet.encode({ type: "response", id: 7, flags: packet.RECURSION_AVAILABLE, questions, answers, additionals });
}

test("an answer without forbidden addresses is not touched", () => {
  const message = upstreamAnswer([{ type: "A", name: "evil.example.com", ttl: 5, data: "192.0.2.1" }]);
  assert.equal(withoutAddresses(message, forbidden, 512), message);
});

test("forbidden addresses are taken out and everything else is kept", () => {
  const keep: packet.Answer[] = [
    { type: "CNAME", name: "evil.example.com", ttl: 5, data: "www.example.com" },
    { type: "A", name: "www.example.com", ttl: 5, data: "192.0.2.1" },
    { type: "MX", name: "example.com", ttl: 5, data: { preference: 5, exchange: "mx.example.com" } },
    { type: "TXT", name: "example.com", ttl: 5, data: ["text"] },
    { type: "SRV", name: "s.example.com", ttl: 5, data: { priority: 1, weight: 2, port: 3, target: "t.example.com" } },
  ];
  const drop: packet.Answer[] = [
    { type: "A", name: "www.example.com", ttl: 5, data: "100.64.0.9" },
    { type: "AAAA", name: "www.example.com", ttl: 5, data: "fd00::1" },
  ];
  const message = upstreamAnswer([...drop, ...keep], drop);
  const rewritten = packet.decode(Buffer.from(ok(withoutAddresses(message, forbidden, 4096))));
  assert.deepEqual(rewritten.answers, packet.decode(upstreamAnswer(keep)).answers);
  assert.deepEqual(rewritten.additionals, []);
  assert.equal(rewritten.flag_tc, false);
});

test("pointers of a kept record lead to the right name although records before it went", () => {
  // evil.com: A 100.0.0.1 of ww.com; then an MX and a CNAME with pointers into that record.
  const message = fromHex(`
    0007 8080 0001 0003 0000 0000
    04 6576696c 03 636f6d 00 0001 0001
    02 7777 c011 0001 0001 00000005 0004 64000001
    c011 000f 0001 00000005 0004 0005 c01a
    c01a 0005 0001 00000005 0005 02 6e73 c01d`);
  const { answers } = packet.decode(Buffer.from(ok(withoutAddresses(message, forbidden, 512))));
  assert.deepEqual(
    answers!.map((answer) => [answer.type, answer.name, "data" in answer && answer.data]),
    [
      ["MX", "com", { preference: 5, exchange: "ww.com" }],
      ["CNAME", "ww.com", "ns.com"],
    ],
  );
});

test("a rewritten answer that is too long is cut and marked", () => {
  const answers = ["100.64.0.9", "192.0.2.1", "192.0.2.2"].map(
    (data): packet.Answer => ({ type: "A", name: "evil.example.com", ttl: 5, data }),
  );
  const whole = ok(withoutAddresses(upstreamAnswer(answers), forbidden, 512));
  assert.equal(packet.decode(Buffer.from(whole)).answers!.length, 2);
  const cut = packet.decode(Buffer.from(ok(withoutAddresses(upstreamAnswer(answers), forbidden, whole.length - 1))));
  assert.equal(cut.flag_tc, true);
  assert.equal(cut.answers!.length, 0);
  assert.equal(cut.questions!.length, 1);
});

test("an answer cut by its server passes without what was cut", () => {
  const message = upstreamAnswer([{ type: "A", name: "evil.example.com", ttl: 5, data: "100.64.0.9" }]);
  message[2]! |= 0x02;
  const cut = packet.decode(Buffer.from(ok(withoutAddresses(message.subarray(0, message.length - 3), forbidden, 512))));
  assert.deepEqual([cut.flag_tc, cut.answers!.length, cut.questions!.length], [true, 0, 1]);
});

// Whatever comes, parsers answer with a value; a truncated message is never accepted as whole.
test("truncated, mutated and random octets are values, never exceptions", () => {
  const seed = Date.now() >>> 0;
  console.log(`seed ${seed}`);
  let state = seed || 1;
  const random = (below: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  const parsers = [decodeQuery, (bytes: Uint8Array) => withoutAddresses(bytes, () => true, 1232)];
  const messages = [
    encodeQuery("_8443._https.a.test", "HTTPS", 1232),
    upstreamAnswer([
      { type: "CNAME", name: "evil.example.com", ttl: 5, data: "www.example.com" },
      { type: "A", name: "www.example.com", ttl: 5, data: "100.64.0.9" },
      { type: "MX", name: "example.com", ttl: 5, data: { preference: 5, exchange: "mx.example.com" } },
    ]),
  ];
  for (const message of messages) {
    for (let length = 0; length < message.length; length++) {
      for (const parse of parsers) assert.ok(isMalformed(parse(message.subarray(0, length))), `length ${length}`);
    }
  }
  const until = performance.now() + 400;
  while (performance.now() < until) {
    const source = messages[random(messages.length)]!;
    const bytes = random(4) === 0 ? Buffer.alloc(random(600)).map(() => random(256)) : Buffer.from(source);
    for (let i = random(4); i >= 0 && bytes.length > 0; i--) bytes[random(bytes.length)] = random(256);
    for (const parse of parsers) parse(bytes);
    const read = readName(bytes, random(bytes.length + 1));
    if (!isMalformed(read)) {
      const again = ok(readName(concat(new Uint8Array(12), encodeName(read.name)), 12));
      assert.deepEqual(encodeName(again.name), encodeName(read.name));
    }
  }
});
