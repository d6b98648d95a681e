import assert from "node:assert/strict";
import { test } from "node:test";
import { Impairment, type Profile } from "./impairment.ts";
import { CLIENT, ipFrame, Rig, SERVER } from "./rig.ts";

const FRAMES = 10_000;

interface Seen {
  arrived: number[];
  damaged: number;
  totals: Record<string, number>;
}

/** Numbered datagrams through a shim, towards the kernel. */
async function through(profile: Omit<Profile, "name">, seed = 1): Promise<Seen> {
  const arrived: number[] = [];
  let damaged = 0;
  const shim = new Impairment({
    profile: { name: "test", ...profile },
    seed,
    toStack: () => assert.fail(),
    drained() {},
    toKernel: (frame) => {
      const number = frame.length === 42 ? Buffer.from(frame).readUInt32BE(38) : undefined;
      if (number === undefined || Buffer.compare(frame, numbered(number)) !== 0) damaged++;
      else arrived.push(number);
      return true;
    },
  });
  for (let i = 0; i < FRAMES; i++) shim.fromStack(numbered(i));
  await new Promise((resolve) => setTimeout(resolve, 40));
  shim.close();
  return { arrived, damaged, totals: shim.log.totals() };
}

function numbered(number: number): Uint8Array {
  const body = Buffer.alloc(12);
  body.writeUInt32BE(number, 8);
  return ipFrame(CLIENT, SERVER, 17, body, undefined);
}

function about(value: number, chance: number): void {
  assert.ok(Math.abs(value - chance * FRAMES) < 0.25 * chance * FRAMES, `${value} of ${FRAMES}`);
}

test("without impairment everything arrives in order", async () => {
  const { arrived, damaged, totals } = await through({});
  assert.deepEqual(
    arrived,
    Array.from({ length: FRAMES }, (_, i) => i),
  );
  assert.equal(damaged, 0);
  assert.deepEqual(totals, { frames: FRAMES });
});

test("each impairment happens as often as asked, and the log knows", async () => {
  const lost = await through({ loss: 0.1 });
  about(FRAMES - lost.arrived.length, 0.1);
  assert.equal(lost.totals.lost, FRAMES - lost.arrived.length);
  const doubled = await through({ duplicate: 0.1 });
  about(doubled.arrived.length - FRAMES, 0.1);
  assert.equal(doubled.totals.duplicated, doubled.arrived.length - FRAMES);
  const damaged = await through({ corrupt: 0.05, truncate: 0.05 });
  about(damaged.damaged, 0.1);
  assert.equal(damaged.arrived.length + damaged.damaged, FRAMES);
});

test("reordered frames are overtaken by a few, and none is lost", async () => {
  const { arrived, totals } = await through({ reorder: 0.2 });
  about(totals.reordered!, 0.2);
  assert.equal(new Set(arrived).size, FRAMES);
  const late = arrived.filter((number, i) => i > 0 && number < arrived[i - 1]!).length;
  assert.ok(late > 500, `${late}`);
});

test("the same seed makes the same decisions", async () => {
  const one = await through({ loss: 0.3 }, 7);
  const other = await through({ loss: 0.3 }, 7);
  assert.deepEqual(one.arrived, other.arrived);
  assert.notDeepEqual((await through({ loss: 0.3 }, 8)).arrived, one.arrived);
});

test("every damage is one that a checksum finds, in both IP versions", async () => {
  for (const v6 of [false, true]) {
    const rig = new Rig({ v6 });
    const text = rig.frame({ flags: "A", seq: 5001, ack: 1, text: "abc" });
    const shim = new Impairment({
      profile: { name: "test", corrupt: 1 },
      seed: 1,
      toStack: (frame) => rig.input(frame.bytes),
      drained: () => rig.stack.drained(),
      toKernel: () => assert.fail(),
    });
    for (let i = 0; i < FRAMES; i++) shim.fromKernel({ bytes: text.slice(), release() {} });
    assert.deepEqual(rig.frames, [], "a RST would say that a segment was understood");
  }
});
