import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../base/mod.ts";
import { attachProof, linkKeys } from "./attach-proof.ts";
import { encodeFrame } from "./frames.ts";
import { Talker, turns } from "./link-harness.ts";
import { memoryCarrierPair } from "./memory-carrier.ts";
import { below, ResumablePair } from "./resume-harness.ts";

const INPUTS = 1_500;

test("hostile beginnings of carriers: nothing is attached but by its own proof, and the link lives on", async () => {
  const seed = Date.now() % 2 ** 31;
  const random = seededRandom(seed);
  const pair = new ResumablePair();
  const talker = new Talker(await pair.client.open(1), { total: 2_000_000, credit: 0 });
  await turns();
  const keys = linkKeys(pair.carriers[0]!.near.binding);
  for (let i = 0; i < INPUTS; i++) {
    const carrier = pair.connect();
    const claim = { transport: below(random, 3), generation: below(random, 2 ** 31), received: below(random, 5) };
    const proof = attachProof(keys, "attach", carrier.binding, claim);
    const octets = encodeFrame({ type: "attach", link: keys.id, ...claim, proof });
    spoil(octets, random);
    const heard: number[] = [];
    carrier.start({ data: (bytes) => heard.push(bytes[2]!), writable: () => {}, closed: () => {} });
    carrier.write(octets);
    if (below(random, 3) === 0) carrier.write(random(1 + below(random, 100)));
    await turns(2);
    assert.ok(!heard.includes(0xc3), `seed ${seed}, input ${i}: attached`);
    carrier.destroy();
  }
  await turns();
  assert.equal(pair.client.attached, true, `seed ${seed}`);
  assert.equal(pair.server!.ended, false);
  pair.client.close("done");
  await talker.done;
});

test("hostile answers to ATTACH: the client takes none of them, and can still go on", async () => {
  const seed = Date.now() % 2 ** 31;
  const random = seededRandom(seed);
  const pair = new ResumablePair();
  const stream = await pair.client.open(1);
  const talker = new Talker(stream, { total: 2_000_000, credit: 0 });
  await turns();
  const keys = linkKeys(pair.carriers[0]!.near.binding);
  for (let i = 0; i < 300; i++) {
    const [near, far] = memoryCarrierPair();
    const claim = { transport: 0, generation: i + 1, received: below(random, 9) };
    const proof = attachProof(keys, "attached", near.binding, claim);
    const answer = encodeFrame({ type: "attached", received: claim.received, proof });
    spoil(answer, random);
    // It reads as another frame that is an answer, too: the agent's word that the link is over.
    if (answer[2] === 0xc8 || answer[2] === 0xc7) continue;
    far.start({ data: () => {}, writable: () => {}, closed: () => {} });
    const attaching = pair.client.attach(0, near);
    far.inject(answer);
    far.inject(random(200));
    setImmediate(() => setImmediate(() => far.destroy()));
    await assert.rejects(attaching, `seed ${seed}, input ${i}`);
    assert.equal(pair.client.ended, false, `seed ${seed}, input ${i}`);
  }
  pair.client.close("done");
  await talker.done;
});

/** One to three bits are not what they were. */
function spoil(octets: Uint8Array, random: ReturnType<typeof seededRandom>): void {
  const before = octets.slice();
  for (let n = 1 + below(random, 3); n > 0; n--) octets[below(random, octets.length)]! ^= 1 << below(random, 8);
  if (Buffer.compare(before, octets) === 0) octets[octets.length - 1]! ^= 1;
}
