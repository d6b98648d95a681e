import assert from "node:assert/strict";
import { setTimeout as wait } from "node:timers/promises";
import type { TunDevice } from "./device.ts";
import { MAX_BURST, MAX_FRAME_LEN, MAX_PIECES, VNET_HEADER_LEN } from "./limits.ts";

/** A device under test, and what is at the far end of it. For tests only. */
export interface DeviceRig {
  readonly device: TunDevice;
  /** Makes the far end send one packet that ends with `payload`. */
  inject(payload: Uint8Array): void;
  /** A frame for `device.write` that carries `payload` to the far end. */
  frame(payload: Uint8Array): Uint8Array;
  /** Payloads that have reached the far end. */
  readonly arrived: Uint8Array[];
  close(): Promise<void>;
}

/** What every `TunDevice` does; the name of each rule, and its proof. */
export const DEVICE_CONTRACT: Readonly<Record<string, (rig: DeviceRig) => Promise<void>>> = {
  async "frames arrive whole and in order, in bounded bursts"(rig) {
    const bursts = [0];
    const seen: number[] = [];
    rig.device.start({
      receive(chunk) {
        assert.ok(chunk.bytes.length > VNET_HEADER_LEN && chunk.bytes.length <= MAX_FRAME_LEN);
        bursts[bursts.length - 1]!++;
        const number = numberIn(chunk.bytes);
        if (number !== undefined) seen.push(number);
        chunk.release();
      },
      drained: () => bursts.push(0),
      failed: assert.fail,
    });
    const numbers = Array.from({ length: 3 * MAX_BURST + 1 }, (_, i) => i);
    for (const number of numbers) rig.inject(numbered(number, 20 + number * 7));
    await until(() => seen.length === numbers.length);
    await until(() => bursts.at(-1) === 0);
    assert.deepEqual(seen, numbers);
    assert.ok(Math.max(...bursts) <= MAX_BURST, `bursts of ${bursts}`);
  },

  async "frames written arrive at the far end"(rig) {
    rig.device.start(ignore);
    for (let i = 0; i < 20; i++) assert.equal(rig.device.write(rig.frame(numbered(i, 1_200))), true);
    await until(() => rig.arrived.length === 20);
    assert.deepEqual(
      rig.arrived.map(numberIn),
      Array.from({ length: 20 }, (_, i) => i),
    );
  },

  async "a frame written in pieces arrives as one"(rig) {
    rig.device.start(ignore);
    const frame = rig.frame(numbered(3, 1_200));
    const cuts = Array.from({ length: MAX_PIECES - 1 }, (_, i) => 1 + i * 50);
    const pieces = [0, ...cuts].map((from, i) => frame.slice(from, cuts[i] ?? frame.length));
    assert.equal(rig.device.writeGathered(pieces), true);
    await until(() => rig.arrived.length === 1);
    assert.equal(numberIn(rig.arrived[0]!), 3);
    assert.ok(Buffer.from(frame).includes(rig.arrived[0]!.subarray(-1_000)), "the octets of the payload");
  },

  async "a written frame is only borrowed"(rig) {
    rig.device.start(ignore);
    const frame = rig.frame(numbered(7, 100));
    rig.device.write(frame);
    frame.fill(0);
    await until(() => rig.arrived.length === 1);
    assert.equal(numberIn(rig.arrived[0]!), 7);
  },

  async "a received frame does not change until it is released"(rig) {
    const kept: Uint8Array[] = [];
    rig.device.start({ ...ignore, receive: (chunk) => void kept.push(chunk.bytes) });
    for (let i = 0; i < 10; i++) rig.inject(numbered(i, i % 2 === 0 ? 100 : 1_400));
    const numbers = () => kept.map(numberIn).filter((n) => n !== undefined);
    await until(() => numbers().length === 10);
    assert.deepEqual(numbers(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  },

  async "promises settled by a handler run at once"(rig) {
    // A native callback runs no microtasks after it: they would wait for the next timer or socket.
    rig.inject(numbered(1, 50));
    await wait(20); // The far end's own callbacks, which would run them, are over by then.
    const nextTimer = setTimeout(() => {}, 200);
    const elapsed = await new Promise<number>((resolve) => {
      rig.device.start({
        ...ignore,
        receive(chunk) {
          chunk.release();
          const received = performance.now();
          void Promise.resolve().then(() => resolve(performance.now() - received));
        },
      });
    });
    clearTimeout(nextTimer);
    assert.ok(elapsed < 100, `after ${elapsed} ms`);
  },

  async "the far end's answer to a write comes in a later turn"(rig) {
    let depth = 0;
    let frames = 0;
    rig.device.start({
      ...ignore,
      receive(chunk) {
        chunk.release();
        assert.equal(depth, 0, "called from within write");
        frames++;
        depth++;
        rig.device.write(rig.frame(numbered(frames, 60)));
        if (frames === 1) rig.inject(numbered(2, 60));
        depth--;
      },
    });
    rig.inject(numbered(1, 60));
    await until(() => frames >= 2);
  },

  async "after close nothing is called and nothing is taken"(rig) {
    let calls = 0;
    let closed = false;
    const called = () => {
      assert.ok(!closed, "called after close");
      calls++;
    };
    rig.device.start({
      receive(chunk) {
        called();
        chunk.release();
        rig.device.close(); // in the middle of a burst
        rig.device.close();
        closed = true;
      },
      drained: called,
      failed: called,
    });
    for (let i = 0; i < 10; i++) rig.inject(numbered(i, 60));
    await until(() => closed);
    assert.equal(rig.device.write(rig.frame(numbered(1, 60))), false);
    await wait(20);
    assert.ok(calls >= 1);
  },
};

const ignore = { receive: (chunk: { release(): void }) => chunk.release(), drained() {}, failed: assert.fail };

/** A payload of `length` octets that carries its number, recognisable behind any headers. */
function numbered(number: number, length: number): Uint8Array {
  const payload = new Uint8Array(length);
  const view = new DataView(payload.buffer);
  view.setUint32(length - 8, MARK);
  view.setUint32(length - 4, number);
  return payload;
}

const MARK = 0x76_6e_65_74;

/** `undefined` for what the kernel sends on its own account. */
function numberIn(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 8 || view.getUint32(bytes.length - 8) !== MARK) return undefined;
  return view.getUint32(bytes.length - 4);
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 3_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, "nothing came");
    await wait(2);
  }
}
