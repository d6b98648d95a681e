import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { TLSSocket } from "node:tls";
import { type Lease, UNPOOLED } from "../base/mod.ts";
import { BufferPool } from "./buffer-pool.ts";
import { readPooled } from "./pooled-reads.ts";

test("a buffer is used again when its last holder has released it, and not before", () => {
  const pool = new BufferPool(8, 1);
  const first = pool.take();
  first.retain();
  first.release();
  const second = pool.take();
  assert.notEqual(second, first);
  first.release();
  assert.equal(pool.take(), first);
  assert.throws(() => {
    second.release();
    second.release();
  });
});

test("no more than the maximum is kept", () => {
  const pool = new BufferPool(8, 2);
  const all = [pool.take(), pool.take(), pool.take()];
  for (const buffer of all) buffer.release();
  assert.equal(pool.spare, 2);
});

async function acceptedPair(): Promise<{ near: Socket; accepted: Socket }> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, resolve);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const near = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port, allowHalfOpen: true });
  const accepted = await promise;
  server.close();
  return { near, accepted };
}

const sha256 = (pieces: Uint8Array[]) => createHash("sha256").update(Buffer.concat(pieces)).digest("hex");

/** Ends when `socket` does; keeps some pieces for a while, as a slow consumer would. */
function readAll(socket: Socket): Promise<Uint8Array[]> {
  const out: Uint8Array[] = [];
  const kept: Array<{ at: number; bytes: Uint8Array; lease: Lease }> = [];
  const giveBack = () => {
    for (const { at, bytes, lease } of kept.splice(0)) {
      out[at] = bytes.slice();
      lease.release();
    }
  };
  readPooled(socket, "raw", (bytes, lease) => {
    const at = out.push(bytes) - 1;
    if (at % 3 === 0) {
      out[at] = bytes.slice();
      return;
    }
    lease.retain();
    kept.push({ at, bytes, lease });
    if (kept.length > 5) giveBack();
  });
  socket.resume();
  return new Promise((resolve) => {
    socket.once("end", () => {
      giveBack();
      resolve(out);
    });
  });
}

test("octets of two accepted sockets at once arrive whole, with pieces kept and writes of every size", async () => {
  const pairs = [await acceptedPair(), await acceptedPair()];
  await Promise.all(
    pairs.map(async ({ near, accepted }) => {
      const read = readAll(accepted);
      const sent = [1, 70_000, 3, 300_000, 5, 5, 5, 5, 5, 4096, 1_000_000].map((length) => randomBytes(length));
      for (const bytes of sent) {
        near.write(bytes);
        await new Promise((resolve) => setImmediate(resolve));
      }
      near.end();
      assert.equal(sha256(await read), sha256(sent));
      near.destroy();
      accepted.destroy();
    }),
  );
});

test("what was unread before comes first, and a pause holds", async () => {
  const { near, accepted } = await acceptedPair();
  accepted.unshift(Buffer.from("before "));
  near.write("after");
  let text = "";
  readPooled(accepted, "raw", (bytes) => {
    text += String(Buffer.from(bytes));
  });
  assert.equal(text, "before ");
  accepted.resume();
  await until(() => text === "before after");
  accepted.pause();
  near.write("!");
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(text, "before after");
  accepted.resume();
  await until(() => text === "before after!");
  near.destroy();
  accepted.destroy();
});

test("this Node has what pooled reads rest on, for TCP and for TLS", async () => {
  const { near, accepted } = await acceptedPair();
  const listeners = (socket: Socket) => socket.listenerCount("data");
  readPooled(accepted, "raw", () => {});
  const secure = new TLSSocket(near);
  readPooled(secure, "tls", () => {});
  assert.deepEqual([listeners(accepted), listeners(secure)], [0, 0]);
  secure.destroy();
  near.destroy();
  accepted.destroy();
});

test("a socket without those properties is read by events", async () => {
  const { near, accepted } = await acceptedPair();
  const { _handle } = accepted as unknown as { _handle: object };
  Object.assign(_handle, { useUserBuffer: undefined });
  const leases = new Set<Lease>();
  const read = new Promise<string>((resolve) => {
    readPooled(accepted, "raw", (bytes, lease) => {
      leases.add(lease);
      resolve(String(Buffer.from(bytes)));
    });
    accepted.resume();
  });
  near.write("octets");
  assert.equal(await read, "octets");
  assert.deepEqual([...leases], [UNPOOLED]);
  near.destroy();
  accepted.destroy();
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
