import assert from "node:assert/strict";
import { test } from "node:test";
import { isMalformed, seededRandom } from "../base/mod.ts";
import { MAX_PROXY_HEADER } from "./limits.ts";
import { type ProxyHeader, parseProxyHeader } from "./proxy-header.ts";

const SIGNATURE = "0d0a0d0a000d0a515549540a";
const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
const line = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));

/** As HAProxy writes them; the last two with TLVs, of which one is longer than the addresses. */
const GOOD: readonly [string, Uint8Array, ProxyHeader["from"]][] = [
  ["TCP4", hex(`${SIGNATURE} 21 11 000c cb007107 0a000001 9c40 01bb`), { address: "203.0.113.7", port: 40_000 }],
  [
    "TCP6",
    hex(`${SIGNATURE} 21 21 0024 20010db8000000000000000000000001 20010db8000000000000000000000002 ffff 01bb`),
    { address: "2001:db8::1", port: 65_535 },
  ],
  ["LOCAL", hex(`${SIGNATURE} 20 00 0000`), undefined],
  ["LOCAL with addresses", hex(`${SIGNATURE} 20 11 000c cb007107 0a000001 9c40 01bb`), undefined],
  ["UNSPEC", hex(`${SIGNATURE} 21 00 0002 ffff`), undefined],
  [
    "TLVs",
    hex(`${SIGNATURE} 21 11 0010 cb007107 0a000001 9c40 01bb 04000100`),
    { address: "203.0.113.7", port: 40_000 },
  ],
  [
    "long TLV",
    hex(`${SIGNATURE} 21 11 010c cb007107 0a000001 0001 01bb ${"00".repeat(256)}`),
    { address: "203.0.113.7", port: 1 },
  ],
  ["v1 TCP4", line("PROXY TCP4 203.0.113.7 10.0.0.1 40000 443\r\n"), { address: "203.0.113.7", port: 40_000 }],
  ["v1 TCP6", line("PROXY TCP6 2001:DB8::1 ::1 1 443\r\n"), { address: "2001:db8::1", port: 1 }],
  ["v1 UNKNOWN", line("PROXY UNKNOWN\r\n"), undefined],
  ["v1 UNKNOWN with more", line("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"), undefined],
];

for (const [name, bytes, from] of GOOD) {
  test(`a header is read and what follows is left: ${name}`, () => {
    const followed = Buffer.concat([bytes, hex("160301")]);
    assert.deepEqual(parseProxyHeader(followed), { length: bytes.length, from });
    for (let length = 0; length < bytes.length; length++) {
      assert.equal(parseProxyHeader(bytes.subarray(0, length)), "incomplete", `${length} octets`);
    }
  });
}

const BAD: readonly [string, Uint8Array][] = [
  ["proxy-header.absent", hex("160301")],
  ["proxy-header.absent", line("PROXX ")],
  ["proxy-header.version", hex(`${SIGNATURE} 11 11 000c`)],
  ["proxy-header.version", hex(`${SIGNATURE} 22 11 000c`)],
  ["proxy-header.too-long", hex(`${SIGNATURE} 21 11 ffff`)],
  ["proxy-header.family", hex(`${SIGNATURE} 21 12 000c cb007107 0a000001 9c40 01bb`)], // UDP
  ["proxy-header.family", hex(`${SIGNATURE} 21 31 0002 0000`)], // UNIX
  ["proxy-header.truncated", hex(`${SIGNATURE} 21 11 000b cb007107 0a000001 9c40 01`)],
  ["proxy-header.truncated", hex(`${SIGNATURE} 21 21 000c cb007107 0a000001 9c40 01bb`)],
  ["proxy-header.line", line("PROXY TCP4 203.0.113.7 10.0.0.1 40000\r\n")],
  ["proxy-header.line", line("PROXY TCP5 203.0.113.7 10.0.0.1 40000 443\r\n")],
  ["proxy-header.line", line("PROXY TCP4  203.0.113.7 10.0.0.1 40000 443\r\n")],
  ["proxy-header.line", line("PROXY UNKNOWNX\r\n")],
  ["proxy-header.address", line("PROXY TCP4 ::1 10.0.0.1 40000 443\r\n")],
  ["proxy-header.address", line("PROXY TCP4 203.0.113.7 ::1 40000 443\r\n")],
  ["proxy-header.address", line("PROXY TCP4 203.0.113.777 10.0.0.1 40000 443\r\n")],
  ["proxy-header.port", line("PROXY TCP4 203.0.113.7 10.0.0.1 65536 443\r\n")],
  ["proxy-header.too-long", line(`PROXY UNKNOWN ${"x".repeat(200)}`)],
];

for (const [reason, bytes] of BAD) {
  test(`refused as ${reason}: ${Buffer.from(bytes.subarray(0, 50))
    .toString("latin1")
    .replaceAll(/[^ -~]/g, ".")}`, () => {
    assert.deepEqual(parseProxyHeader(bytes), { malformed: reason });
  });
}

test("hostile headers never throw, never reach beyond their octets, and mean the same however they come", () => {
  const seed = Date.now() & 0xffff;
  const random = seededRandom(seed);
  for (let i = 0; i < 50_000; i++) {
    const [, good] = GOOD[i % GOOD.length]!;
    const bytes = good.slice(0, i % 7 === 0 ? random(1)[0]! % good.length : good.length);
    const [flips] = random(1);
    for (let flip = 0; flip < flips! % 4; flip++) {
      const [at, octet] = random(2);
      if (bytes.length > 0) bytes[at! % bytes.length] = octet!;
    }
    const whole = parseProxyHeader(bytes);
    if (whole !== "incomplete" && !isMalformed(whole)) {
      assert.ok(whole.length <= Math.min(bytes.length, MAX_PROXY_HEADER), `seed ${seed}, ${i}`);
    }
    for (let length = 0; length < bytes.length; length += 1 + (i % 5)) {
      const part = parseProxyHeader(bytes.subarray(0, length));
      if (part !== "incomplete") assert.deepEqual(part, whole, `seed ${seed}, ${i}, ${length} octets`);
    }
  }
});
