import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { ByteStream } from "../../src/base/mod.ts";
import { limits } from "../../src/net/stack/mod.ts";
import { CLIENT_PORT, Rig } from "./rig.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const FLOOD = 100_000;
/** 3 KiB for each that a table of the stack may hold, its consumer included, and what compiler and collector leave behind. */
const ALLOWANCE = 3_072 * Math.max(limits.ATTEMPTS, limits.HALF_OPEN) + 3 * 1024 * 1024;

function used(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const silent = { data() {}, end() {}, reset() {}, writable() {} };

/** SYNs from `count` endpoints, none of which ever says another word. */
async function flood(rig: Rig, count: number, heard: () => void): Promise<void> {
  for (let i = 0; i < count; i++) {
    rig.remote = Uint8Array.of(100, 64, 1 + (i >> 15), 1);
    rig.port = 1024 + (i & 0x7fff);
    rig.send({ flags: "S", seq: i, mss: 1460, windowScale: 7, sackPermitted: true, tsVal: 1 });
    heard();
    rig.frames.length = 0;
    if ((i & 0xff) === 0) await Promise.resolve(); // those that were opened take their turn
  }
  rig.remote = Uint8Array.of(100, 64, 0, 1);
  rig.port = CLIENT_PORT;
}

test(`${FLOOD} SYNs that nobody answers: bounded memory, and what is established goes on`, async (t) => {
  const rig = new Rig();
  const app = await rig.establish().ready();
  const iss = rig.iss;
  app.stream.credit(100);
  const before = used();
  await flood(rig, FLOOD, () => {});
  const grown = used() - before;
  t.diagnostic(`${grown} octets more`);
  assert.ok(grown < ALLOWANCE, `${grown} octets`);
  assert.equal(rig.attempts.length, limits.ATTEMPTS);
  assert.equal(rig.counters.get("tcp.attempts-full"), FLOOD - limits.ATTEMPTS);
  rig.iss = iss;
  rig.send({ flags: "PA", seq: 5001, ack: 1, text: "still here" });
  rig.expect({ flags: "A", ack: 5011 });
  assert.equal(app.text, "still here");
  rig.attempts.pop()!.refuse(); // one answer makes room for one more
  rig.frames.length = 0;
  rig.port = 60_000;
  rig.send({ flags: "S", seq: 9 });
  assert.equal(rig.attempts.length, limits.ATTEMPTS);
});

test(`${FLOOD} accepted connections whose clients never answer: the oldest make room`, async (t) => {
  const rig = new Rig();
  const app = await rig.establish().ready();
  const iss = rig.iss;
  app.stream.credit(100);
  const before = used();
  await flood(rig, FLOOD, () => void rig.attempts.pop()?.accept().open(silent));
  const grown = used() - before;
  t.diagnostic(`${grown} octets more`);
  assert.ok(grown < ALLOWANCE, `${grown} octets`);
  assert.equal(rig.stack.connections, limits.HALF_OPEN + 1);
  assert.equal(rig.counters.get("tcp.half-open-evicted"), FLOOD - limits.HALF_OPEN);
  rig.iss = iss;
  rig.send({ flags: "PA", seq: 5001, ack: 1, text: "still here" });
  rig.expect({ flags: "A", ack: 5011 });
  assert.equal(app.text, "still here");
  // An honest client among them is served.
  rig.port = 60_000;
  rig.send({ flags: "S", seq: 5000 });
  rig.attempts.pop()!.accept().open(silent);
  rig.expect({ flags: "RA" }); // the oldest
  rig.expect({ flags: "SA", ack: 5001 });
  rig.send({ flags: "A", seq: 5001, ack: 1 });
  assert.equal(rig.stack.connections, limits.HALF_OPEN + 1);
});

test("the one that makes room is told, on the wire and to its consumer; an established one never is", async () => {
  const rig = new Rig();
  const app = await rig.establish().ready();
  const log: string[] = [];
  const accept = (port: number): ByteStream => {
    rig.port = port;
    rig.send({ flags: "S", seq: 5000 });
    return rig.attempts.pop()!.accept();
  };
  accept(1024).open({ ...silent, reset: (reason) => void log.push(reason) });
  await Promise.resolve();
  for (let i = 1; i < limits.HALF_OPEN; i++) accept(1024 + i).open(silent);
  assert.deepEqual(log, []);
  rig.frames.length = 0;
  accept(9000);
  assert.deepEqual(log, ["timeout"]);
  const kinds = rig.frames.map((frame) => rig.read(frame).flags).sort();
  assert.deepEqual(kinds, ["RA", "SA"]);
  assert.deepEqual(app.log, []);
});
