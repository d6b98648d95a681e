import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { plainChunk, type ResetReason } from "../base/mod.ts";
import { streamContract } from "../testkit/mod.ts";
import { CREDIT_PATIENCE_MS, RAW_READ_LEN } from "./limits.ts";
import { socketStream } from "./socket-stream.ts";

/** Two ends of one TCP connection on the loopback. */
async function socketPair(): Promise<[Socket, Socket]> {
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, accepted.resolve);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const near = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  await new Promise((resolve) => near.once("connect", resolve));
  const far = await accepted.promise;
  server.close();
  return [near, far];
}

streamContract("socket stream", async () => {
  const [near, far] = await socketPair();
  return {
    a: socketStream(near),
    b: socketStream(far),
    close: () => {
      near.destroy();
      far.destroy();
    },
  };
});

test("a reset while the end waits behind unsent octets is a RST, not a FIN", async () => {
  const [near, far] = await socketPair();
  const stream = socketStream(near);
  let released = 0;
  let written = 0;
  stream.open({
    data: () => {},
    end: () => {},
    reset: () => {},
    writable(octets) {
      written++;
      stream.write({ bytes: new Uint8Array(octets), release: () => released++ });
    },
  });
  // The far end reads nothing: the kernel's buffers fill, and the rest stays ours.
  for (let before = -1; before !== written; ) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  assert.ok(near.writableLength > 0);
  stream.end();
  await new Promise((resolve) => setImmediate(resolve));
  stream.reset("timeout");
  const ended = new Promise<string>((resolve) => {
    far.once("error", (error: NodeJS.ErrnoException) => resolve(error.code!));
    far.once("end", () => resolve("end"));
  });
  far.resume();
  assert.equal(await ended, "ECONNRESET");
  assert.equal(near.destroyed, true);
  assert.equal(released, written);
  far.destroy();
});

test("the far end's failure has a reason", async () => {
  for (const [code, reason] of [
    ["ECONNRESET", "peer"],
    ["ETIMEDOUT", "timeout"],
    ["EHOSTUNREACH", "unreachable"],
  ]) {
    const [near, far] = await socketPair();
    const told = Promise.withResolvers<ResetReason>();
    socketStream(near).open({ data: () => {}, end: () => {}, reset: told.resolve, writable: () => {} });
    await new Promise((resolve) => setImmediate(resolve));
    near.destroy(Object.assign(new Error(code), { code }));
    assert.equal(await told.promise, reason);
    far.destroy();
  }
});

test("octets beyond the credit wait, and the end waits for them", async () => {
  const [near, far] = await socketPair();
  const stream = socketStream(near);
  const events: Array<number | string> = [];
  stream.open({
    data: (chunk) => events.push(chunk.bytes.length),
    end: () => events.push("end"),
    reset: (reason) => events.push(reason),
    writable: () => {},
  });
  stream.credit(10);
  far.end(new Uint8Array(1000));
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.deepEqual(events, [10]);
  // We have ended too: the socket is gone, its last octets are not.
  stream.end();
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.deepEqual(events, [10]);
  stream.credit(5000);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.deepEqual(events, [10, 990, "end"]);
});

test("a socket in full flow is not read beyond the credit, until its credit has been waited for", async (t) => {
  const [far, near] = await socketPair(); // the accepted one reads nothing by itself
  t.after(() => {
    near.destroy();
    far.destroy();
  });
  const total = 2 * RAW_READ_LEN;
  far.end(new Uint8Array(total));
  await new Promise((resolve) => far.once("finish", resolve));
  await new Promise((resolve) => setTimeout(resolve, 30)); // until all of it can be read

  t.mock.timers.enable({ apis: ["setTimeout"] });
  const stream = socketStream(near);
  let delivered = 0;
  let ended = false;
  stream.open({
    data: (chunk) => {
      delivered += chunk.bytes.length;
      chunk.release();
    },
    end: () => {
      ended = true;
    },
    reset: () => {},
    writable: () => {},
  });
  stream.credit(RAW_READ_LEN);
  await until(() => delivered === RAW_READ_LEN);
  for (let i = 0; i < 5; i++) await turn();
  assert.equal(near.bytesRead, RAW_READ_LEN);

  t.mock.timers.tick(CREDIT_PATIENCE_MS);
  await until(() => near.bytesRead === total);
  assert.equal(delivered, RAW_READ_LEN);

  stream.credit(total);
  await until(() => ended);
  assert.equal(delivered, total);
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, "nothing came");
    await turn();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test("many small writes arrive in order", async () => {
  const [near, far] = await socketPair();
  const stream = socketStream(near);
  const received: Buffer[] = [];
  far.on("data", (bytes) => received.push(bytes as Buffer)).resume();
  const sent: Buffer[] = [];
  stream.open({
    data: () => {},
    end: () => {},
    reset: () => {},
    writable() {
      if (sent.length > 0) return;
      for (let i = 0; i < 40; i++) {
        const bytes = Buffer.alloc(i % 3 === 0 ? 5000 : 7, i);
        sent.push(bytes);
        stream.write(plainChunk(bytes));
      }
      stream.end();
    },
  });
  await new Promise((resolve) => far.once("end", resolve));
  assert.ok(Buffer.concat(received).equals(Buffer.concat(sent)));
  far.destroy();
});
