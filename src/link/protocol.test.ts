/** `docs/protocol.md` says of links what the code does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isMalformed } from "../base/mod.ts";
import { protocolTable, quotedLimits } from "../testkit/mod.ts";
import { goawayCodes, refusalCodes, resetCodes } from "./codes.ts";
import { decodeFrame, encodeFrame, type Frame, isNumbered, TYPE, writeDataHeader } from "./frames.ts";
import * as limits from "./limits.ts";

const ROWS = protocolTable("frame", "type", "from");

/** What the page's examples say. */
const EXAMPLES: Record<Exclude<keyof typeof TYPE, "DATA">, Frame> = {
  OPEN: { type: "open", stream: 1, port: 5432, window: 262_144 },
  OPENED: { type: "opened", stream: 1, window: 262_144 },
  REFUSED: { type: "refused", stream: 1, code: "connection-refused", text: "no" },
  WINDOW: { type: "window", stream: 1, offset: 524_288 },
  FIN: { type: "fin", stream: 1, offset: 5 },
  RESET: { type: "reset", stream: 1, reason: "peer" },
  HELLO: {
    type: "hello",
    minVersion: 1,
    maxVersion: 1,
    features: 0,
    instance: Buffer.from("0102030405060708", "hex"),
    resumeMs: 300_000,
    transports: 1,
  },
  ATTACH: {
    type: "attach",
    link: Buffer.alloc(16, 0xaa),
    transport: 0,
    generation: 1,
    received: 3,
    proof: Buffer.alloc(32, 0xbb),
  },
  ATTACHED: { type: "attached", received: 2, proof: Buffer.alloc(32, 0xcc) },
  ACK: { type: "ack", received: 3 },
  PING: { type: "ping", id: 1 },
  PONG: { type: "pong", id: 1 },
  GOAWAY: { type: "goaway", code: "done", text: "bye" },
  LINK_GONE: { type: "link-gone" },
};

test("the page has every frame type, with its number", () => {
  const said = ROWS.map(([name = "", type = ""]) => [name, Number.parseInt(type, 16)]);
  assert.deepEqual(Object.fromEntries(said), TYPE);
  for (const [, type] of said) assert.equal(isNumbered(Number(type)), (Number(type) & 0x40) === 0);
});

for (const [name = "", , , , example = ""] of ROWS) {
  test(`the page's example of ${name} is what is sent, and reads back`, () => {
    const octets = Buffer.from(example.replaceAll(" ", ""), "hex");
    if (name === "DATA") {
      const header = new Uint8Array(limits.HEADER_LEN);
      writeDataHeader(header, 0, 1, 5);
      assert.deepEqual(octets, Buffer.concat([header, Buffer.from("hello")]));
      return;
    }
    const frame = EXAMPLES[name as keyof typeof EXAMPLES];
    assert.deepEqual(octets, Buffer.from(encodeFrame(frame)));
    const back = decodeFrame(octets[2]!, octets.readUInt32BE(4), octets.subarray(limits.HEADER_LEN));
    assert.ok(back !== undefined && !isMalformed(back));
    assert.equal(back.type, frame.type);
  });
}

test("the page has every code", () => {
  const rows = protocolTable("", "RESET", "REFUSED", "GOAWAY");
  for (const [column, table] of [resetCodes, refusalCodes, goawayCodes].entries()) {
    const said = rows.filter((row) => row[column + 1] !== "").map((row) => [Number(row[0]), row[column + 1]]);
    const highest = said.length;
    assert.deepEqual(
      said,
      Array.from({ length: highest }, (_, i) => [i + 1, table.name(i + 1)]),
    );
    // The next one is unknown, and reads as the general failure.
    assert.equal(table.name(highest + 1), column === 0 ? "protocol" : "internal");
  }
});

test("the page's sizes and times of links are the code's", () => {
  const quoted = quotedLimits("link");
  assert.ok(quoted.length > 15);
  for (const { name, value } of quoted) assert.equal(value, (limits as Record<string, unknown>)[name], name);
});
