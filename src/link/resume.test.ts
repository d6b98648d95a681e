import assert from "node:assert/strict";
import { test } from "node:test";
import { type ByteStream, seededRandom } from "../base/mod.ts";
import { attachProof, linkKeys } from "./attach-proof.ts";
import { LinkAttachError, LinkClosedError } from "./errors.ts";
import { encodeFrame, type Frame } from "./frames.ts";
import { REPLAY_LIMIT, SEND_BUDGET } from "./limits.ts";
import { Talker, turns } from "./link-harness.ts";
import { memoryCarrierPair } from "./memory-carrier.ts";
import type { OpenRequest } from "./options.ts";
import { below, ResumablePair, within } from "./resume-harness.ts";

const KIB = 1024;
/** An app that accepts, and neither reads nor writes. */
const keep = (request: OpenRequest) => void request.accept();

test("a link goes on over another carrier, and nobody is told but who brings it", async () => {
  const pair = new ResumablePair();
  const detached: string[] = [];
  pair.client.onCarriers({ detached: (_, silentMs, message) => detached.push(`${message}, ${silentMs} ms`) });
  const talker = new Talker(await pair.client.open(1), { total: 300 * KIB });
  await turns(2);
  pair.cut();
  await turns();
  assert.deepEqual(detached, ["the connection was closed, 0 ms"]);
  assert.equal(pair.client.attached, false);
  assert.equal(pair.client.ended, false);
  await pair.client.attach(0, pair.connect());
  assert.deepEqual(await within(talker.done, pair), {});
  assert.equal(talker.hashIn, talker.hashOut);
  assert.equal(talker.received, 300 * KIB);
});

test("a carrier may be replaced while it lives", async () => {
  const pair = new ResumablePair();
  const talkers = await Promise.all(
    [1, 2, 3].map(async (port) => new Talker(await pair.client.open(port), { total: 400 * KIB })),
  );
  for (let i = 0; i < 3; i++) {
    await turns(1);
    await pair.client.attach(0, pair.connect());
  }
  for (const talker of talkers) {
    assert.deepEqual(await within(talker.done, pair), {});
    assert.equal(talker.hashIn, talker.hashOut);
  }
});

const RUNS = 40;
for (let seed = 1; seed <= RUNS; seed++) {
  test(`carriers cut anywhere, octet by octet: no octet is lost, doubled or out of place (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    // From one octet at a time to whole writes.
    const most = 2 ** below(random, 16);
    const pair = new ResumablePair({ pieceLen: () => 1 + below(random, most), transports: 1 + below(random, 4) });
    const total = 1 + below(random, most < 64 ? 20 * KIB : 400 * KIB);
    await pair.client.ready;
    let dials = 0;
    const bring = async (transport: number) => {
      for (;;) {
        dials++;
        const dialled = pair.connect();
        cutLater(dialled, pair, random, most);
        try {
          return await pair.client.attach(transport, dialled);
        } catch (error) {
          assert.ok(error instanceof LinkAttachError, `seed ${seed}: ${error}`);
        }
      }
    };
    pair.client.onCarriers({
      detached: (transport) => void (dials < 30 ? bring(transport) : attachWell(pair, transport)),
    });
    for (let id = 1; id < pair.client.maxTransports; id++) await bring(id).catch(() => {});
    cutLater(pair.carriers[0]!.near, pair, random, most);
    const talkers = await Promise.all(
      Array.from(
        { length: 1 + below(random, 8) },
        async (_, i) => new Talker(await pair.client.open(i), { total: total + i }),
      ),
    );
    for (const talker of talkers) {
      assert.deepEqual(await within(talker.done, pair), {}, `seed ${seed}`);
      assert.equal(talker.received, talker.sent);
      assert.equal(talker.hashIn, talker.hashOut, `seed ${seed}`);
    }
    assert.deepEqual(
      Object.keys(pair.counters.snapshot()).filter((name) => name !== "link.stale-attach"),
      [],
    );
    pair.client.close("done");
  });
}

/** Ends a carrier after some octets of either direction; most often in the middle of a frame. */
function cutLater(
  near: ReturnType<ResumablePair["connect"]>,
  pair: ResumablePair,
  random: ReturnType<typeof seededRandom>,
  most: number,
): void {
  const far = pair.carriers.find((each) => each.near === near)!.far;
  const [mine, other] = below(random, 2) === 0 ? [near, far] : [far, near];
  mine.cutAfter = below(random, most < 64 ? 8 * KIB : 200 * KIB);
  void other;
}

async function attachWell(pair: ResumablePair, transport: number): Promise<void> {
  while (!pair.client.ended) {
    try {
      return await pair.client.attach(transport, pair.connect());
    } catch {
      // Another one, then.
    }
  }
}

test("meanwhile applications see a pause, and memory stays bounded", async () => {
  const accepted: ByteStream[] = [];
  const pair = new ResumablePair({ onOpen: (request) => accepted.push(request.accept()) });
  const streams = await Promise.all(Array.from({ length: 200 }, (_, i) => pair.client.open(i)));
  await turns();
  let resets = 0;
  const talkers = accepted.map((stream) => new Talker(stream, { total: 1024 * KIB }));
  for (const stream of streams) {
    stream.open({ data: () => {}, end: () => {}, reset: () => resets++, writable: () => {} });
    stream.credit(8 * KIB);
  }
  await turns(20);
  pair.cut();
  await turns(20);
  const held = pair.server!.heldOctets;
  assert.ok(held > 1024 * KIB, "all of them have more to say");
  assert.ok(held < REPLAY_LIMIT + SEND_BUDGET, `${held} octets held`);
  await turns(20);
  assert.equal(pair.server!.heldOctets, held, "back-pressure, not growth");
  assert.ok(talkers.every((talker) => talker.sent < 400 * KIB));
  await pair.client.attach(0, pair.connect());
  await turns();
  assert.equal(resets, 0);
  pair.client.close("done");
});

test("without another carrier the link ends after its window, at both ends", async () => {
  const pair = new ResumablePair({ onOpen: keep, resumeMs: 60_000 });
  const talker = new Talker(await pair.client.open(1), { total: 1000, credit: 0 });
  await turns();
  pair.cut();
  await turns();
  await pair.clock.advance(59_000, 1_000);
  assert.equal(pair.client.ended, false);
  assert.equal(pair.server!.ended, false);
  await pair.clock.advance(2_000, 1_000);
  assert.deepEqual(await talker.done, { reset: "unreachable" });
  assert.match((await pair.server!.closed).message, /there was no other within 60 s/);
});

// ---- who may attach, and when

test("another owner, another secret, an unknown link: gone, and the link is untouched", async () => {
  const pair = new ResumablePair();
  const talker = new Talker(await pair.client.open(1), { total: 200 * KIB });
  const { binding } = pair.carriers[0]!.near;
  const right = linkKeys(binding);
  const wrongSecret = { ...right, secret: new Uint8Array(32) };
  const unknown = { ...right, id: new Uint8Array(16) };
  assert.deepEqual(await rawAttach(pair, { keys: right, owner: "mallory" }), ["link-gone"]);
  assert.deepEqual(await rawAttach(pair, { keys: wrongSecret }), ["link-gone"]);
  assert.deepEqual(await rawAttach(pair, { keys: unknown }), ["link-gone"]);
  assert.equal(pair.counters.get("link.gone"), 3);
  assert.deepEqual(await within(talker.done, pair), {});
  assert.equal(talker.hashIn, talker.hashOut);
});

test("a proof is good for its carrier and its fields only", async () => {
  const pair = new ResumablePair();
  const stream = await pair.client.open(1);
  const keys = linkKeys(pair.carriers[0]!.near.binding);
  assert.deepEqual(await rawAttach(pair, { keys, proofFor: { generation: 2 } }), ["link-gone"]);
  assert.deepEqual(await rawAttach(pair, { keys, proofBinding: pair.carriers[0]!.near.binding }), ["link-gone"]);
  stream.reset("peer");
});

test("a stale or repeated generation is dropped without a word", async () => {
  const pair = new ResumablePair();
  const talker = new Talker(await pair.client.open(1), { total: 500 * KIB });
  await turns(2);
  await pair.client.attach(0, pair.connect());
  await pair.client.attach(0, pair.connect());
  const keys = linkKeys(pair.carriers[0]!.near.binding);
  for (const generation of [0, 1, 2]) assert.deepEqual(await rawAttach(pair, { keys, generation }), ["closed"]);
  assert.equal(pair.counters.get("link.stale-attach"), 3);
  assert.deepEqual(await within(talker.done, pair), {});
  assert.equal(talker.hashIn, talker.hashOut);
});

test("an ATTACH that came late, after a newer one, changes nothing", async () => {
  const pair = new ResumablePair();
  const talker = new Talker(await pair.client.open(1), { total: 500 * KIB });
  await turns(2);
  const slow = pair.connect();
  slow.held = true;
  const first = assert.rejects(pair.client.attach(0, slow), LinkAttachError);
  await pair.client.attach(0, pair.connect());
  slow.release();
  await turns();
  assert.deepEqual(await within(talker.done, pair), {});
  assert.equal(talker.hashIn, talker.hashOut);
  assert.equal(pair.counters.get("link.stale-attach"), 1);
  await first;
  await pair.client.open(1);
  await pair.clock.advance(62_000, 1_000);
  assert.equal(pair.client.ended, false, "the attempt that failed has not begun a window");
});

test("a transport that the agent has not agreed to has no place", async () => {
  const pair = new ResumablePair({ transports: 2 });
  await pair.client.open(1);
  const keys = linkKeys(pair.carriers[0]!.near.binding);
  assert.deepEqual(await rawAttach(pair, { keys, transport: 2 }), ["closed"]);
  assert.deepEqual(await rawAttach(pair, { keys, transport: 1 }), ["attached"]);
});

for (const received of [1_000, 0]) {
  test(`a client that has received ${received === 0 ? "less than it acknowledged" : "what was never sent"} breaks the protocol`, async () => {
    const pair = new ResumablePair();
    const talker = new Talker(await pair.client.open(1), { total: 1000 });
    assert.deepEqual(await within(talker.done, pair), {});
    const more = await pair.client.open(2);
    await pair.clock.advance(100, 20);
    const keys = linkKeys(pair.carriers[0]!.near.binding);
    await rawAttach(pair, { keys, received });
    assert.equal((await pair.server!.closed).closeCode, "protocol");
    more.reset("peer");
  });
}

test("the agent proves itself, too", async () => {
  const pair = new ResumablePair();
  const stream = await pair.client.open(1);
  const talker = new Talker(stream, { total: 10, credit: 0 });
  const [near, far] = memoryCarrierPair();
  far.start({
    data: () => far.inject(encodeFrame({ type: "attached", received: 0, proof: new Uint8Array(32) })),
    writable: () => {},
    closed: () => {},
  });
  await assert.rejects(pair.client.attach(0, near), /link\.proof/);
  assert.equal(pair.client.ended, false);
  await pair.client.attach(0, pair.connect());
  stream.credit(100);
  assert.deepEqual(await within(talker.done, pair), {});
});

test("an agent that has ended the link says so, and the streams are reset at once", async () => {
  const pair = new ResumablePair({ onOpen: keep });
  const talker = new Talker(await pair.client.open(1), { total: 1000, credit: 0 });
  await turns();
  pair.cut();
  await turns();
  pair.server!.close("session-ended", "logged out");
  await assert.rejects(
    pair.client.attach(0, pair.connect()),
    (error) => error instanceof LinkClosedError && error.closeCode === "gone",
  );
  assert.deepEqual(await talker.done, { reset: "unreachable" });
});

test("what was taken whole is still read to its end when the link is no more", async () => {
  const pair = new ResumablePair();
  const stream = await pair.client.open(1);
  const talker = new Talker(stream, { total: 100 * KIB, credit: 0 });
  await pair.clock.advance(200, 20);
  pair.server!.close("shutdown");
  assert.equal((await pair.client.closed).closeCode, "shutdown");
  stream.credit(100 * KIB);
  assert.deepEqual(await talker.done, {});
  assert.equal(talker.hashIn, talker.hashOut);
});

test("draining is told again over the next carrier", async () => {
  const pair = new ResumablePair({ onOpen: keep });
  const talker = new Talker(await pair.client.open(1), { total: 1000, credit: 0 });
  await turns();
  pair.cut();
  await turns();
  pair.server!.drain();
  assert.equal(pair.client.draining, false);
  await pair.client.attach(0, pair.connect());
  await turns();
  assert.equal(pair.client.draining, true);
  pair.client.close("done");
  await talker.done;
});

test("more than ten new carriers a minute wait for their turn, and are not refused", async () => {
  const pair = new ResumablePair({ onOpen: keep });
  const talker = new Talker(await pair.client.open(1), { total: 1000, credit: 0 });
  for (let i = 0; i < 10; i++) await pair.client.attach(0, pair.connect());
  let done = false;
  const eleventh = pair.client.attach(0, pair.connect()).then(() => {
    done = true;
  });
  await turns(20);
  assert.equal(done, false);
  await pair.clock.advance(6_100, 100);
  await eleventh;
  pair.client.close("done");
  await talker.done;
});

test("an ATTACH whose carrier has ended before its turn costs the living one nothing", async () => {
  const pair = new ResumablePair({ onOpen: keep });
  await pair.client.open(1);
  const keys = linkKeys(pair.carriers[0]!.near.binding);
  for (let i = 0; i < 10; i++) await pair.client.attach(0, pair.connect());
  const late = rawAttach(pair, { keys, generation: 99 });
  await turns(3);
  pair.cut();
  assert.deepEqual(await late, ["closed"]);
  await pair.clock.advance(7_000, 100);
  assert.equal(pair.client.attached, true);
  assert.equal(pair.server!.attached, true);
  pair.client.close("done");
});

test("attempts that are lost while they wait for their turn do not lengthen the wait", async () => {
  const pair = new ResumablePair({ onOpen: keep });
  await pair.client.open(1);
  for (let i = 0; i < 10; i++) await pair.client.attach(0, pair.connect());
  for (let i = 0; i < 20; i++) {
    const lost = assert.rejects(pair.client.attach(0, pair.connect()), LinkAttachError);
    await pair.clock.advance(100, 100);
    pair.cut();
    await lost;
  }
  const waiting = pair.client.attach(0, pair.connect());
  const newest = pair.client.attach(0, pair.connect()); // Its client did not wait for the other.
  await assert.rejects(waiting, LinkAttachError);
  await pair.clock.advance(4_100, 100);
  await newest;
  pair.client.close("done");
});

test("a path that falls silent costs its carrier, not its streams", async () => {
  const pair = new ResumablePair();
  const talker = new Talker(await pair.client.open(1), { total: 64 * KIB, credit: 0 });
  const { near, far } = pair.carriers[0]!;
  near.silent = true;
  far.silent = true;
  await pair.clock.advance(10_000);
  assert.equal(pair.client.attached, false);
  assert.equal(pair.client.ended, false);
  await pair.client.attach(0, pair.connect());
  pair.client.close("done");
  await talker.done;
});

test("after a change of the network a silent carrier is given up within 2 s, a living one is kept", async () => {
  const pair = new ResumablePair({ onOpen: keep });
  const talker = new Talker(await pair.client.open(1), { total: 1, credit: 0 });
  await pair.clock.advance(1_000);
  pair.client.probe();
  await pair.clock.advance(5_000);
  assert.equal(pair.client.attached, true);
  pair.carriers[0]!.far.silent = true;
  pair.client.probe();
  await pair.clock.advance(1_500);
  assert.equal(pair.client.attached, true);
  await pair.clock.advance(1_000);
  assert.equal(pair.client.attached, false);
  pair.client.close("done");
  await talker.done;
});

test("streams go to the least loaded transport", async () => {
  const accepted: string[] = [];
  const pair = new ResumablePair({
    transports: 3,
    onOpen: (request) => {
      accepted.push(`${request.streamId}`);
      request.accept();
    },
  });
  await pair.client.ready;
  await pair.client.attach(1, pair.connect());
  await pair.client.attach(2, pair.connect());
  for (let i = 0; i < 6; i++) await pair.client.open(i);
  assert.deepEqual(accepted, ["1", "1", "1", "2", "2", "2"], "ids are counted by transport");
  pair.client.close("done");
});

test("the loss of one transport of several resets nothing", async () => {
  const pair = new ResumablePair({ transports: 2 });
  await pair.client.ready;
  await pair.client.attach(1, pair.connect());
  const talkers = await Promise.all(
    [1, 2].map(async (i) => new Talker(await pair.client.open(i), { total: 300 * KIB })),
  );
  await turns(2);
  pair.cut(); // The second's.
  await turns();
  assert.equal(pair.client.attached, true);
  await pair.client.attach(1, pair.connect());
  for (const talker of talkers) {
    assert.deepEqual(await within(talker.done, pair), {});
    assert.equal(talker.hashIn, talker.hashOut);
  }
});

/** Says ATTACH as told, and nothing else; the answer's frame type, or "closed". */
async function rawAttach(
  pair: ResumablePair,
  o: {
    keys: ReturnType<typeof linkKeys>;
    owner?: string;
    transport?: number;
    generation?: number;
    received?: number;
    proofFor?: { generation: number };
    proofBinding?: Uint8Array;
  },
): Promise<string[]> {
  const carrier = pair.connect(o.owner);
  const claim = { transport: o.transport ?? 0, generation: o.generation ?? 9, received: o.received ?? 1 };
  const proof = attachProof(o.keys, "attach", o.proofBinding ?? carrier.binding, { ...claim, ...o.proofFor });
  const heard: string[] = [];
  const NAMES: Record<number, string> = { 195: "attached", 200: "link-gone" };
  carrier.start({
    data: (bytes) => {
      const name = NAMES[bytes[2]!];
      if (name) heard.push(name);
    },
    writable: () => {},
    closed: () => {
      if (heard.length === 0) heard.push("closed");
    },
  });
  const frame: Frame = { type: "attach", link: o.keys.id, ...claim, proof };
  carrier.write(encodeFrame(frame));
  await turns(12);
  return heard;
}
