import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { isMalformed } from "../base/mod.ts";
import { protocolSays } from "../testkit/mod.ts";
import { decodeRelayHeader, encodeRelayHeader, isRelayHeaderGenuine, relayKeyOf } from "./relay-header.ts";

const HOST = "00112233-4455-6677-8899-aabbccddeeff";
const KEY = relayKeyOf(Buffer.alloc(32, 0x33), HOST);
const HEADER = { hostId: HOST, timeMs: 1_764_000_000_000, client: "192.0.2.1:40000" };

test("a header comes back as it was written, from any pieces, and ends where TLS begins", () => {
  for (const client of [HEADER.client, "[2001:db8::1]:1", "[fe80::1%eth0]:65535"]) {
    const bytes = encodeRelayHeader(KEY, { ...HEADER, client });
    for (let i = 0; i < bytes.length; i++) assert.equal(decodeRelayHeader(bytes.subarray(0, i)), "incomplete");
    const decoded = decodeRelayHeader(Buffer.concat([bytes, Buffer.from([0x16])]));
    assert.deepEqual(decoded, { header: { ...HEADER, client }, length: bytes.length });
    assert.ok(isRelayHeaderGenuine(KEY, bytes));
  }
});

test("the example of docs/protocol.md", () => {
  const bytes = encodeRelayHeader(KEY, HEADER);
  assert.ok(protocolSays(`    ${Buffer.from(bytes).toString("hex")}\n`));
});

test("what was changed, or written with another proxy's key, is not genuine", () => {
  const bytes = encodeRelayHeader(KEY, HEADER);
  assert.ok(!isRelayHeaderGenuine(relayKeyOf(Buffer.alloc(32, 0x33), HOST.replace("ff", "fe")), bytes));
  for (let i = 0; i < bytes.length; i++) {
    const changed = Buffer.from(bytes);
    changed[i]! ^= 1;
    assert.ok(!isRelayHeaderGenuine(KEY, changed), `octet ${i}`);
  }
});

test("hostile octets are values", () => {
  const good = encodeRelayHeader(KEY, HEADER);
  for (let i = 0; i < 20_000; i++) {
    const bytes = Buffer.from(good);
    for (let n = 0; n < 3; n++) bytes[randomBytes(1)[0]! % bytes.length] = randomBytes(1)[0]!;
    const decoded = decodeRelayHeader(bytes);
    if (decoded !== "incomplete" && !isMalformed(decoded)) assert.match(decoded.header.client, /:\d+$/);
  }
  for (const bytes of [encodeRelayHeader(KEY, { ...HEADER, client: "evil.test:1" }), Buffer.from([0x16, 3, 1])]) {
    const decoded = decodeRelayHeader(bytes);
    assert.ok(decoded !== "incomplete" && isMalformed(decoded));
  }
});
