import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer, Socket } from "node:net";
import { test } from "node:test";
import { type RelayTotals, relay } from "./relay.ts";

interface Joined {
  left: Socket;
  right: Socket;
  totals: Promise<RelayTotals>;
  cut(): void;
}

/** left — relay — right, over four sockets of the loopback. */
async function joined(): Promise<Joined> {
  const accepted: Socket[] = [];
  const both = Promise.withResolvers<void>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    if (accepted.push(socket) === 2) both.resolve();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const open = () => connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  const left = open();
  await new Promise((resolve) => left.once("connect", resolve));
  const right = open();
  await both.promise;
  server.close();
  const done = Promise.withResolvers<RelayTotals>();
  const { cut } = relay(accepted[0]!, accepted[1]!, done.resolve);
  for (const socket of [left, right]) socket.on("error", () => {});
  return { left, right, totals: done.promise, cut };
}

function ended(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code!));
    socket.once("end", () => resolve("end"));
    socket.resume();
  });
}

test("half-close passes, and the other direction goes on", async () => {
  const { left, right, totals } = await joined();
  left.end("question");
  let question = "";
  right.on("data", (bytes) => {
    question += String(bytes);
  });
  assert.equal(await ended(right), "end");
  assert.equal(question, "question");
  right.end("the answer");
  let answer = "";
  left.on("data", (bytes) => {
    answer += String(bytes);
  });
  assert.equal(await ended(left), "end");
  assert.equal(answer, "the answer");
  assert.deepEqual(await totals, { aToB: 8, bToA: 10 });
});

test("a reset passes as a reset", async () => {
  const { left, right, totals } = await joined();
  const end = ended(right);
  left.resetAndDestroy();
  assert.equal(await end, "ECONNRESET");
  await totals;
});

test("a reader that stalls stops the writer, within the buffers", async () => {
  const { left, right, cut } = await joined();
  right.pause();
  let written = 0;
  const piece = new Uint8Array(256 * 1024);
  const progress = () => written - left.writableLength;
  for (let i = 0; i < 200; i++) {
    left.write(piece);
    written += piece.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const stalledAt = progress();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(progress(), stalledAt);
  assert.ok(stalledAt < written / 2, `${stalledAt} of ${written} octets taken`); // The kernel's buffers, mostly.
  cut();
  left.destroy();
  right.destroy();
});

test("cut while ends are under way leaves no socket behind", async () => {
  const { left, right, totals, cut } = await joined();
  left.write(new Uint8Array(1024));
  left.end();
  right.end();
  await new Promise((resolve) => setImmediate(resolve));
  cut();
  await totals;
  left.destroy();
  right.destroy();
});

test("sockets that are gone already end it, but not before it has begun", async () => {
  const [a, b] = [new Socket(), new Socket()];
  a.destroy();
  b.destroy();
  const done = Promise.withResolvers<RelayTotals>();
  let begun = false;
  relay(a, b, (totals) => (begun ? done.resolve(totals) : done.reject(new Error("too early"))));
  begun = true;
  assert.deepEqual(await done.promise, { aToB: 0, bToA: 0 });
});
