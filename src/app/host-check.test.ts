import assert from "node:assert/strict";
import { test } from "node:test";
import { HostCheck, type HostVerdict } from "./host-check.ts";
import { MAX_HOST_CHECK_LEN } from "./limits.ts";

const ALLOWED = ["web.company.test", "Alias.Example."];

type Kind = "allowed" | "other" | "misdirected" | "too-large" | "pending";

function kindOf(verdict: HostVerdict): Kind {
  return verdict.kind === "refused" ? verdict.status : verdict.kind;
}

function get(host: string, rest = ""): string {
  return `GET / HTTP/1.1\r\n${rest}Host: ${host}\r\n\r\n`;
}

const TABLE: [what: string, octets: string, verdict: Kind][] = [
  ["its public address", get("web.company.test"), "allowed"],
  ["in another spelling, with a port and a trailing dot", get("WEB.Company.TEST.:8080"), "allowed"],
  ["a listed name", get("alias.example"), "allowed"],
  ["behind other fields", get("web.company.test", "Accept: */*\r\nCookie: host: evil.test\r\n"), "allowed"],
  ["without space", "GET / HTTP/1.1\r\nhOsT:web.company.test\r\n\r\n", "allowed"],
  ["lines that end with LF alone", "GET / HTTP/1.1\nHost: web.company.test\n\n", "allowed"],
  ["an empty line first", `\r\n${get("web.company.test")}`, "allowed"],
  ["a body behind it", `${get("web.company.test")}Host: evil.test\r\n\r\n`, "allowed"],
  ["HTTP/1.0", "GET / HTTP/1.0\r\nHost: web.company.test\r\n\r\n", "allowed"],
  ["absolute form", `GET http://web.company.test:80/x HTTP/1.1\r\nHost: web.company.test\r\n\r\n`, "allowed"],
  ["an address, which no name server gave", get("100.64.0.5:8080"), "allowed"],
  ["an IPv6 address", get("[fd12::5]:8080"), "allowed"],
  ["localhost, as of tsh proxy app", get("localhost:1234"), "allowed"],

  ["a foreign name", get("evil.test"), "misdirected"],
  ["a name that begins alike", get("web.company.test.evil.test"), "misdirected"],
  ["a name that ends alike", get("evil-web.company.test"), "misdirected"],
  ["two trailing dots", get("web.company.test.."), "misdirected"],
  ["user information", get("web.company.test@evil.test"), "misdirected"],
  ["something like an address", get("127.0.0.1.evil.test"), "misdirected"],
  ["a method of the page's own making", get("evil.test").replace("GET", "m-search!"), "misdirected"],
  ["a long target", get("evil.test").replace("/", `/${"x".repeat(300_000)}`), "misdirected"],
  ["no Host", "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n", "misdirected"],
  ["no field at all", "GET / HTTP/1.1\r\n\r\n", "misdirected"],
  ["an empty Host", get(""), "misdirected"],
  ["two Hosts", get("web.company.test", "Host: evil.test\r\n"), "misdirected"],
  ["two Hosts, the other way", get("evil.test", "Host: web.company.test\r\n"), "misdirected"],
  ["a second Host with a space before the colon", get("web.company.test", "Host : evil.test\r\n"), "misdirected"],
  ["a second Host on a line that goes on", get("web.company.test", " Host: evil.test\r\n"), "misdirected"],
  ["absolute form of a foreign name", get("web.company.test").replace("/", "http://evil.test/"), "misdirected"],
  ["an empty line first, and a foreign name", `\r\n\n${get("evil.test")}`, "misdirected"],
  ["a WebSocket", get("evil.test", "Upgrade: websocket\r\nConnection: Upgrade\r\n"), "misdirected"],
  ["a header without end", `GET / HTTP/1.1\r\nX: ${"x".repeat(MAX_HOST_CHECK_LEN)}`, "too-large"],
  ["a header too long", get("web.company.test", `X: ${"x".repeat(MAX_HOST_CHECK_LEN)}\r\n`), "too-large"],

  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "other"],
  ["HTTP/0.9", "GET /\r\n", "other"],
  ["TLS", "\x16\x03\x01\x02\x00\x01", "other"],
  ["SSH", "SSH-2.0-OpenSSH_9.9\r\n", "other"],
  ["PostgreSQL", "\x00\x00\x00\x08\x04\xd2\x16\x2f", "other"],
  ["Redis", "*1\r\n$4\r\nPING\r\n", "other"],
  ["Redis by hand", "GET key\r\n", "other"],
  ["Redis by hand, more words", "SET key value\r\n", "other"],
  ["SMTP", "EHLO client.example\r\n", "other"],
  ["RTSP", "OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\n", "other"],
  ["SIP", "INVITE sip:bob@example SIP/2.0\r\n", "other"],
  ["a memcached command", "set key 0 0 5\r\nhello\r\n", "other"],

  ["one letter", "G", "pending"],
  ["a request line", "GET / HTTP/1.1\r\n", "pending"],
];

for (const [what, octets, verdict] of TABLE) {
  const bytes = Buffer.from(octets, "latin1");

  test(`${verdict}: ${what}`, () => {
    assert.equal(kindOf(new HostCheck(ALLOWED).push(bytes)), verdict);
  });

  // A long input in every place would take a while; its cuts are in the short ones too.
  if (bytes.length > 1_000) continue;
  test(`${verdict}: ${what}, cut at every octet, and into single ones`, () => {
    const cuts = Array.from({ length: bytes.length - 1 }, (_, i) => [bytes.subarray(0, i + 1), bytes.subarray(i + 1)]);
    for (const pieces of [...cuts, [...bytes].map((octet) => Buffer.of(octet))]) {
      assert.equal(verdictOf(pieces), verdict);
    }
  });
}

function verdictOf(pieces: readonly Uint8Array[]): Kind {
  const check = new HostCheck(ALLOWED);
  for (const piece of pieces) {
    const verdict = check.push(piece);
    if (verdict.kind !== "pending") return kindOf(verdict);
  }
  return "pending";
}

test("octets are held back from the version on, and not before", () => {
  const bytes = Buffer.from(get("evil.test"));
  for (let length = 1; length < bytes.length; length++) {
    const verdict = new HostCheck(ALLOWED).push(bytes.subarray(0, length));
    assert.deepEqual(verdict, { kind: "pending", held: length >= "GET / HTTP/1.".length });
  }
});

test("an end in the middle of a header is refused; an end before is none of its business", () => {
  const check = new HostCheck(ALLOWED);
  check.push(Buffer.from("GET / HT"));
  assert.equal(check.end().kind, "other");
  check.push(Buffer.from("TP/1.1\r\nHost: evil.test\r\n"));
  assert.equal(check.end().kind, "refused");
});
