import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Rig } from "./rig.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const CONNECTIONS = 4_000;
/** Octets of heap, typed arrays outside it included, for one idle connection. */
const PER_CONNECTION = 2_048;

function used(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const silent = { data() {}, end() {}, reset() {}, writable() {} };

function openMany(rig: Rig): void {
  for (let i = 0; i < CONNECTIONS; i++) {
    rig.port = 1024 + i;
    rig.send({ flags: "S", seq: 5000, mss: 1460, windowScale: 7, sackPermitted: true, tsVal: 1 });
    const stream = rig.attempts.pop()!.accept();
    rig.expect({ flags: "SA" });
    rig.send({ flags: "A", seq: 5001, ack: 1, tsVal: 1, tsEcr: 0 });
    stream.open(silent);
    stream.credit(65_536);
    rig.frames.length = 0;
  }
}

/** So that what compiled code takes is not counted. */
async function warmUp(): Promise<void> {
  const rig = new Rig();
  openMany(rig);
  await Promise.resolve();
  rig.stack.close();
}

test("an idle connection takes no more than 2 KiB, a closed one nothing", async (t) => {
  await warmUp();
  const rig = new Rig();
  const before = used();
  openMany(rig);
  await Promise.resolve();
  const each = (used() - before) / CONNECTIONS;
  t.diagnostic(`${each.toFixed(0)} octets for each idle connection`);
  assert.ok(each < PER_CONNECTION, `${each} octets`);
  rig.stack.close();
  rig.frames.length = 0;
  await Promise.resolve();
  const rest = (used() - before) / CONNECTIONS;
  assert.ok(rest < 100, `${rest} octets are left of each`);
});

test("connections that come and go leave nothing but TIME-WAITs, and those expire", async () => {
  const rig = new Rig();
  for (let i = 0; i < 6_000; i++) {
    rig.port = 1024 + i;
    const app = rig.establish();
    app.stream.end();
    rig.expect({ flags: "FA" });
    rig.send({ flags: "FA", seq: 5001, ack: 2 });
    rig.expect({ flags: "A", seq: 2, ack: 5002 });
    if (i % 1000 === 0) await app.ready();
  }
  assert.equal(rig.stack.connections, 0);
  assert.equal(rig.clock.pending, 2, "one timer for all deadlines, one for delayed ACKs");
  rig.clock.advance(10_000);
  assert.equal(rig.clock.pending, 0);
  assert.equal(rig.framesHeld, 0);
});
