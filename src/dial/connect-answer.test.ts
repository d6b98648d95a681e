import assert from "node:assert/strict";
import { test } from "node:test";
import { isMalformed, seededRandom } from "../base/mod.ts";
import { parseConnectAnswer } from "./connect-answer.ts";
import { MAX_CONNECT_ANSWER } from "./limits.ts";

const octets = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const GOOD = "HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n";

test("an answer ends with its empty line, and what follows is not its own", () => {
  assert.deepEqual(parseConnectAnswer(octets(GOOD)), { status: 200, length: GOOD.length });
  assert.deepEqual(parseConnectAnswer(octets(`${GOOD}\x16\x03`)), { status: 200, length: GOOD.length });
  assert.deepEqual(parseConnectAnswer(octets("HTTP/1.0 407 \r\n\r\n")), { status: 407, length: 17 });
  assert.deepEqual(parseConnectAnswer(octets("HTTP/1.1 502\r\n\r\n")), { status: 502, length: 16 });
});

test("of a part of it more is awaited", () => {
  for (let length = 0; length < GOOD.length; length++) {
    assert.equal(parseConnectAnswer(octets(GOOD.slice(0, length))), undefined, `${length} octets`);
  }
});

test("what is no HTTP/1 answer is told at once", () => {
  for (const text of [
    "x",
    "HTTP/2 200\r\n\r\n",
    "220 smtp\r\n",
    "\x16\x03\x01",
    "HTTP/1.1 20\r\n\r\n",
    "HTTP/1.1 999 x\r\n\r\n",
  ]) {
    assert.ok(isMalformed(parseConnectAnswer(octets(text)) ?? {}), JSON.stringify(text));
  }
  assert.ok(isMalformed(parseConnectAnswer(octets("HTTP/1.1 200 a\nb\r\n\r\n")) ?? {}));
});

test("an endless header is refused", () => {
  const long = octets(`HTTP/1.1 200 OK\r\n${"x".repeat(MAX_CONNECT_ANSWER)}`);
  assert.equal(parseConnectAnswer(long.subarray(0, MAX_CONNECT_ANSWER - 1)), undefined);
  assert.deepEqual(parseConnectAnswer(long), { malformed: "dial.answer-too-long" });
});

test("random octets never throw", () => {
  const seed = Date.now() & 0xffff;
  const random = seededRandom(seed);
  for (let i = 0; i < 20_000; i++) {
    const bytes = random(1 + (i % 64));
    const mixed = i % 2 === 0 ? bytes : octets(GOOD);
    if (i % 2 === 1) mixed[bytes[0]! % mixed.length] = bytes.at(-1)!;
    const answer = parseConnectAnswer(mixed);
    if (answer !== undefined && !isMalformed(answer)) assert.ok(answer.length <= mixed.length, `seed ${seed}, ${i}`);
  }
});
