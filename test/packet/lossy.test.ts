import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { type ByteStream, plainChunk, seededRandom } from "../../src/base/mod.ts";
import { type StackPairOptions, stackPair, virtualClock } from "../../src/testkit/mod.ts";

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const MEGABYTES = 3;
/** Of virtual time, three lost SYNs included. The path has a round trip of 0.2 ms: who waits for timers takes longer. */
const SECONDS_MAX = 8;

/** Sends `octets` seeded octets, half-closes, and hashes what comes the other way. */
class Side {
  readonly #in = createHash("sha256");
  readonly #out = createHash("sha256");
  received = 0;
  ended = false;
  reset: string | undefined;

  constructor(stream: ByteStream, octets: number, seed: number) {
    const random = seededRandom(seed);
    let left = octets;
    stream.open({
      data: (chunk) => {
        this.#in.update(chunk.bytes);
        this.received += chunk.bytes.length;
        const { length } = chunk.bytes;
        chunk.release();
        stream.credit(length);
      },
      end: () => {
        this.ended = true;
      },
      reset: (reason) => {
        this.reset = reason;
      },
      writable: (allowance) => {
        for (let room = allowance; room > 0 && left > 0; ) {
          const bytes = random(Math.min(room, left, 1 + random(1)[0]! * 100));
          this.#out.update(bytes);
          room -= bytes.length;
          left -= bytes.length;
          stream.write(plainChunk(bytes));
        }
        if (left === 0) {
          left = -1;
          stream.end();
        }
      },
    });
    stream.credit(300_000);
  }

  hashes(): { in: string; out: string } {
    return { in: this.#in.digest("hex"), out: this.#out.digest("hex") };
  }
}

async function exchange(options: StackPairOptions): Promise<{ seconds: number; counters: Record<string, number> }> {
  const clock = virtualClock();
  const pair = stackPair({ ...options, clock, seed: SEED, schedule: (run) => void clock.after(0.1, run) });
  const connecting = pair.connect();
  let sides: [Side, Side] | undefined;
  void connecting.then(([a, b]) => {
    sides = [new Side(a, MEGABYTES * 1e6, SEED + 1), new Side(b, MEGABYTES * 1e6 + 7, SEED + 2)];
  });
  const start = clock.now();
  while (!(sides?.[0].ended && sides[1].ended) && clock.now() - start < 600_000) {
    clock.step();
    await Promise.resolve();
  }
  assert.ok(sides !== undefined, `no connection (SEED=${SEED})`);
  const [a, b] = sides;
  assert.deepEqual([a.reset, b.reset], [undefined, undefined], `SEED=${SEED}`);
  assert.equal(b.received, MEGABYTES * 1e6, `SEED=${SEED}`);
  assert.equal(a.received, MEGABYTES * 1e6 + 7, `SEED=${SEED}`);
  const [hashesA, hashesB] = [a.hashes(), b.hashes()];
  assert.equal(hashesA.in, hashesB.out, `SEED=${SEED}`);
  assert.equal(hashesB.in, hashesA.out, `SEED=${SEED}`);
  const seconds = (clock.now() - start) / 1000;
  clock.advance(10_000); // the last ACKs, and TIME-WAIT
  assert.equal(pair.client.connections + pair.server.connections, 0);
  assert.equal(pair.held(), 0);
  pair.close();
  assert.equal(clock.pending, 0);
  return { seconds, counters: pair.counters.snapshot() };
}

test("a clean link: no retransmission at all", async () => {
  const { counters } = await exchange({});
  assert.equal(counters["tcp.fast-retransmit"], undefined);
  assert.equal(counters["tcp.retransmission-timeout"], undefined);
});

for (const [name, options] of [
  ["loss of 2 %, super-segments", { loss: 0.02 }],
  ["loss of 2 %, MTU 1500", { loss: 0.02, offload: { checksum: false, tso: false } }],
  ["reordering of 20 %", { reorder: 0.2, v6: true }],
  ["loss, reordering and duplication", { loss: 0.01, reorder: 0.1, duplicate: 0.05, mtu: 9000 }],
] as const) {
  test(`${MEGABYTES} MB each way arrive whole: ${name}`, async (t) => {
    const { seconds, counters } = await exchange(options);
    assert.ok(seconds < SECONDS_MAX, `SEED=${SEED}, ${seconds} s`);
    t.diagnostic(`SEED=${SEED}, ${seconds.toFixed(1)} s of virtual time, ${JSON.stringify(counters)}`);
  });
}
