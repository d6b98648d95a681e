import { createHash, randomBytes } from "node:crypto";
import { type ByteStream, Counters, plainChunk, seededRandom } from "../../src/base/mod.ts";
import { Stack } from "../../src/net/stack/mod.ts";
import type { Attack } from "./attack.ts";

const NEAR = Uint8Array.of(100, 64, 1, 1);
const FAR = Uint8Array.of(100, 64, 1, 9);
const OCTETS = 64 * 1024;
/** Connections at a time. */
const BATCH = 50;
const PATIENCE_STEPS = 100_000;

/**
 * After an attack: `count` connections from a second stack each move 64 KiB and
 * get it back. How many of them got back what they sent.
 */
export async function connectionsWork(attack: Attack, count: number): Promise<number> {
  const { clock } = attack;
  const queue: { to: "server" | "client"; frame: Uint8Array }[] = [];
  attack.divert = (frame) => queue.push({ to: "client", frame: frame.slice() });
  attack.serve = echo;
  const client = new Stack({
    clock,
    random: seededRandom(3),
    counters: new Counters(),
    mtu: 1500,
    offload: { checksum: true, tso: true },
    emit: (frame) => queue.push({ to: "server", frame: frame.slice() }),
    isLocal: () => true,
    mayTalk: () => true,
    handlers: { tcp: (attempt) => attempt.refuse(), udp: () => false, echo: () => false },
  });
  let right = 0;
  for (let first = 0; first < count; first += BATCH) {
    let open = 0;
    for (let i = first; i < Math.min(count, first + BATCH); i++) {
      open++;
      const connecting = client.connect({ address: NEAR, port: 1024 + i }, { address: FAR, port: 80 });
      void connecting
        .then(transfer, () => false)
        .then((equal) => {
          open--;
          if (equal) right++;
        });
    }
    for (let step = 0; open > 0 && step < PATIENCE_STEPS; step++) {
      cross(queue, attack, client);
      await Promise.resolve();
      if (queue.length === 0) clock.step();
    }
  }
  client.close();
  cross(queue, attack, client);
  attack.divert = () => {};
  return right;
}

function cross(queue: { to: "server" | "client"; frame: Uint8Array }[], attack: Attack, client: Stack): void {
  for (const { to, frame } of queue.splice(0)) {
    if (to === "server") attack.input(frame);
    else client.input({ bytes: frame, release() {} });
  }
  attack.stack.drained();
  client.drained();
}

function echo(stream: ByteStream): void {
  const waiting: Uint8Array[] = [];
  let room = 0;
  const flush = () => {
    while (waiting.length > 0 && room > 0) {
      const part = waiting[0]!.subarray(0, room);
      if (part.length === waiting[0]!.length) waiting.shift();
      else waiting[0] = waiting[0]!.subarray(part.length);
      room -= part.length;
      stream.write(plainChunk(part));
    }
  };
  stream.open({
    data: (chunk) => {
      waiting.push(chunk.bytes.slice());
      stream.credit(chunk.bytes.length);
      chunk.release();
      flush();
    },
    end: () => stream.end(),
    reset() {},
    writable: (octets) => {
      room += octets;
      flush();
    },
  });
  stream.credit(OCTETS);
}

function transfer(stream: ByteStream): Promise<boolean> {
  const octets = randomBytes(OCTETS);
  const back = createHash("sha256");
  let received = 0;
  let sent = 0;
  return new Promise((resolve) => {
    stream.open({
      data: (chunk) => {
        back.update(chunk.bytes);
        received += chunk.bytes.length;
        stream.credit(chunk.bytes.length);
        chunk.release();
        if (received === OCTETS) stream.end();
      },
      end: () => resolve(back.digest("hex") === createHash("sha256").update(octets).digest("hex")),
      reset: () => resolve(false),
      writable: (allowance) => {
        const part = octets.subarray(sent, sent + allowance);
        sent += part.length;
        if (part.length > 0) stream.write(plainChunk(part));
      },
    });
    stream.credit(OCTETS);
  });
}
