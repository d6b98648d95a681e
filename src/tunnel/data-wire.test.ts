import assert from "node:assert/strict";
import { createDecipheriv } from "node:crypto";
import { test } from "node:test";
import { isMalformed } from "../base/mod.ts";
import { AddressLimiter } from "./address-limiter.ts";
import { decodeControl, LineReader } from "./control-wire.ts";
import {
  beginsData,
  decodeAnswer,
  decodeGreeting,
  decodeRoute,
  encodeAnswer,
  encodeGreeting,
  encodeRoute,
  GREETING_LEN,
  isGreetingGenuine,
} from "./data-wire.ts";
import { MAX_CONTROL_LINE, MAX_UNVERIFIED_PER_ADDRESS } from "./limits.ts";

const key = new Uint8Array(32).fill(1);
const otherKey = new Uint8Array(32).fill(2);
const greeting = { controlId: "0123456789abcdef0123456789abcdef", number: 2 ** 40 + 3 };
const route = { sessionId: "ab".repeat(16), app: "tcp-app", clientAddress: "192.0.2.7" };

test("a greeting survives the wire, and every beginning of it is incomplete", () => {
  const bytes = encodeGreeting(key, greeting);
  assert.equal(bytes.length, GREETING_LEN);
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodeGreeting(bytes.subarray(0, length)), "incomplete");
  }
  assert.deepEqual(decodeGreeting(bytes), greeting);
  assert.ok(isGreetingGenuine(key, greeting, bytes));
});

test("a greeting is genuine under its own key and with its own fields only", () => {
  const bytes = encodeGreeting(key, greeting);
  assert.ok(!isGreetingGenuine(otherKey, greeting, bytes));
  for (let at = 0; at < bytes.length; at++) {
    const changed = Uint8Array.from(bytes);
    changed[at]! ^= 1;
    const fields = decodeGreeting(changed);
    assert.ok(
      typeof fields === "string" || isMalformed(fields) || !isGreetingGenuine(key, fields, changed),
      `octet ${at}`,
    );
  }
});

test("what is not a greeting", () => {
  assert.equal(beginsData(Buffer.from("GET ")), false);
  assert.equal(beginsData(Buffer.from([0x91])), "incomplete");
  assert.deepEqual(decodeGreeting(Buffer.from("GET ")), { malformed: "data.magic" });
  const newer = encodeGreeting(key, greeting);
  newer[5] = 2;
  assert.deepEqual(decodeGreeting(newer.subarray(0, 6)), { malformed: "data.version" });
});

test("ROUTE and its answer are sealed for one connection and one direction", () => {
  const bytes = encodeRoute(key, 7, route);
  assert.deepEqual(decodeRoute(key, 7, bytes), { route, length: bytes.length });
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodeRoute(key, 7, bytes.subarray(0, length)), "incomplete");
  }
  assert.deepEqual(decodeRoute(key, 8, bytes), { malformed: "data.route-seal" });
  assert.deepEqual(decodeRoute(otherKey, 7, bytes), { malformed: "data.route-seal" });
  assert.deepEqual(decodeRoute(key, 7, Uint8Array.from([0xff, 0xff])), { malformed: "data.route-length" });
  assert.deepEqual(decodeRoute(key, 7, Uint8Array.from([0, 3])), { malformed: "data.route-length" });

  for (const accepted of [true, false]) {
    const answer = encodeAnswer(key, 7, accepted);
    assert.deepEqual(decodeAnswer(key, 7, answer), { accepted });
    assert.deepEqual(decodeAnswer(key, 8, answer), { malformed: "data.answer-seal" });
    assert.deepEqual(decodeAnswer(key, 7, Buffer.concat([answer, Buffer.of(1)])), { malformed: "data.answer-length" });
    assert.equal(decodeAnswer(key, 7, answer.subarray(1)), "incomplete");
  }
  // An answer cannot be the greeting's or the route's tag again.
  assert.ok(isMalformed(decodeAnswer(key, 7, bytes.subarray(2, 19)) as object));
});

// The oracle: AES-256-GCM by hand, with the nonce that PROTOCOL section 3 names.
test("each message has a nonce of its own: number, direction, index", () => {
  const openBy = (nonceTail: number[], sealed: Uint8Array, aad?: Uint8Array) => {
    const nonce = Buffer.from([0, 0, 0, 0, 0, 0, 0, 7, ...nonceTail]);
    const decipher = createDecipheriv("aes-256-gcm", key, nonce).setAuthTag(sealed.subarray(-16));
    if (aad) decipher.setAAD(aad);
    return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
  };
  const hello = encodeGreeting(key, { ...greeting, number: 7 });
  assert.equal(openBy([0, 0, 0, 0], hello.subarray(-16), hello.subarray(0, -16)).length, 0);
  assert.deepEqual(JSON.parse(String(openBy([1, 0, 0, 0], encodeRoute(key, 7, route).subarray(2)))), route);
  assert.deepEqual([...openBy([0, 0, 0, 1], encodeAnswer(key, 7, true))], [1]);
});

test("a route of a newer proxy may have more fields, none may be wrong", () => {
  const sealed = (value: unknown) => decodeRoute(key, 1, encodeRoute(key, 1, value as typeof route));
  assert.deepEqual((sealed({ ...route, later: 1 }) as { route: object }).route, route);
  assert.deepEqual(sealed({ ...route, sessionId: "AB".repeat(16) }), { malformed: "data.route-session" });
  assert.deepEqual(sealed({ ...route, app: 1 }), { malformed: "data.route-syntax" });
  assert.deepEqual(sealed(null), { malformed: "data.route-session" });
});

test("control lines: what is known is checked, what is not is skipped", () => {
  assert.deepEqual(decodeControl('{"type":"need","idle":3}'), { type: "need", idle: 3 });
  assert.equal(decodeControl('{"type":"later","x":1}'), undefined);
  for (const [line, reason] of [
    ["", "control.syntax"],
    ["[]", "control.type"],
    ["null", "control.type"],
    ['{"type":"need","idle":-1}', "control.need"],
    ['{"type":"hello","version":1,"software":"1","instance":"zz"}', "control.hello"],
    ['{"type":"welcome","version":1,"software":"1","controlId":"00"}', "control.welcome"],
  ]) {
    assert.deepEqual(decodeControl(line!), { malformed: reason });
  }
});

test("lines are the same however they are cut, and bounded", () => {
  const text = '{"type":"bye","reason":"grüße"}\n{"type":"drain"}\n';
  const bytes = Buffer.from(text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const reader = new LineReader();
    const lines = [reader.push(bytes.subarray(0, cut)), reader.push(bytes.subarray(cut))].flat();
    assert.deepEqual(lines, text.trim().split("\n"));
  }
  const reader = new LineReader();
  assert.deepEqual(reader.push(Buffer.alloc(MAX_CONTROL_LINE, 65)), []);
  assert.deepEqual(reader.push(Buffer.from("A")), { malformed: "control.line" });
});

test("unverified connections are counted by IPv4 address and IPv6 /64", () => {
  const limiter = new AddressLimiter();
  const places = Array.from({ length: MAX_UNVERIFIED_PER_ADDRESS }, () => limiter.enter("192.0.2.1", () => {}));
  assert.ok(places.every((leave) => leave));
  assert.equal(
    limiter.enter("192.0.2.1", () => {}),
    undefined,
  );
  assert.equal(
    limiter.enter("::ffff:192.0.2.1", () => {}),
    undefined,
  );
  assert.ok(limiter.enter("192.0.2.2", () => {}));
  places[0]!();
  places[0]!(); // Twice counts once.
  assert.ok(limiter.enter("192.0.2.1", () => {}));
  assert.equal(
    limiter.enter("192.0.2.1", () => {}),
    undefined,
  );

  for (let i = 0; i < MAX_UNVERIFIED_PER_ADDRESS; i++) assert.ok(limiter.enter(`2001:db8::${i + 1}`, () => {}));
  assert.equal(
    limiter.enter("2001:db8::ffff", () => {}),
    undefined,
  );
  assert.ok(limiter.enter("2001:db8:0:1::1", () => {}));
});
