import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { DEVICE_CONTRACT, type DeviceRig } from "./contract.ts";
import { MEMORY_QUEUE_LEN } from "./limits.ts";
import { type MemoryTunOptions, memoryTunPair } from "./memory.ts";

function memoryRig(): DeviceRig {
  const [device, far] = memoryTunPair();
  const arrived: Uint8Array[] = [];
  far.start({ receive: (chunk) => void arrived.push(chunk.bytes), drained() {}, failed: assert.fail });
  return {
    device,
    arrived,
    frame,
    inject: (payload) => void far.write(frame(payload)),
    async close() {
      device.close();
      far.close();
    },
  };
}

function frame(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(10 + payload.length);
  bytes.set(payload, 10);
  return bytes;
}

for (const [rule, prove] of Object.entries(DEVICE_CONTRACT)) {
  test(`memory: ${rule}`, async () => {
    const rig = memoryRig();
    try {
      await prove(rig);
    } finally {
      await rig.close();
    }
  });
}

async function crossed(options: MemoryTunOptions, frames: number): Promise<number[]> {
  const [a, b] = memoryTunPair(options);
  const got: number[] = [];
  b.start({ receive: (chunk) => void got.push(chunk.bytes[0]!), drained() {}, failed: assert.fail });
  for (let i = 0; i < frames; i++) a.write(Uint8Array.of(i, 0));
  await wait(10);
  a.close();
  b.close();
  return got;
}

test("loss and reordering come from the seed", async () => {
  const inOrder = Array.from({ length: 200 }, (_, i) => i);
  assert.deepEqual(await crossed({}, 200), inOrder);

  const lossy = await crossed({ loss: 0.2, seed: 7 }, 200);
  assert.ok(lossy.length > 120 && lossy.length < 190, `${lossy.length} of 200`);
  assert.deepEqual(await crossed({ loss: 0.2, seed: 7 }, 200), lossy);
  assert.notDeepEqual(await crossed({ loss: 0.2, seed: 8 }, 200), lossy);

  const shuffled = await crossed({ reorder: 0.3, seed: 7 }, 200);
  assert.notDeepEqual(shuffled, inOrder);
  assert.deepEqual(
    shuffled.toSorted((x, y) => x - y),
    inOrder,
  );
});

test("each end has its own offloads, and a full queue refuses", () => {
  const none = { checksum: false, tso: false, bigTcp: false };
  const [a, b] = memoryTunPair({ offload: [none, { checksum: true, tso: true, bigTcp: false }] });
  assert.deepEqual(a.offload, none);
  assert.equal(b.offload.tso, true);
  for (let i = 0; i < MEMORY_QUEUE_LEN; i++) assert.equal(a.write(Uint8Array.of(0)), true);
  assert.equal(a.write(Uint8Array.of(0)), false);
  a.close();
  b.close();
});
