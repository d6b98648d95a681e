import assert from "node:assert/strict";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { Counters, silentLogger } from "../base/mod.ts";
import { dialDirect } from "../dial/mod.ts";
import { virtualClock } from "../testkit/mod.ts";
import { encodeRoute, GREETING_LEN } from "./data-wire.ts";
import { IdlePool } from "./idle-pool.ts";
import { EARLY_ENDS, IDLE_LIFE_MS, RECONNECT_MAX_MS } from "./limits.ts";

const key = new Uint8Array(32).fill(4);
const route = { sessionId: "ab".repeat(16), app: "tcp-app", clientAddress: "192.0.2.7" };

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 3000;
  while (!condition()) {
    assert.ok(performance.now() < end, "waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function poolAtProxy(onRoute: (socket: Socket) => void) {
  const live = new Set<Socket>();
  let dialled = 0;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.once("data", (greeting) => {
      assert.equal(greeting.length, GREETING_LEN);
      dialled++;
      live.add(socket);
    });
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.on("close", () => live.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const clock = virtualClock();
  const pool = new IdlePool({
    clock,
    counters: new Counters(),
    log: silentLogger,
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    controlId: "00".repeat(16),
    key,
    onRoute,
  });
  const close = () => {
    pool.close();
    server.close();
  };
  return { pool, clock, live, dialled: () => dialled, close };
}

test("as many connections are idle as wanted; a used one is replaced", async () => {
  const routed: Socket[] = [];
  const { pool, live, dialled, close } = await poolAtProxy((socket) => routed.push(socket));
  pool.want(3);
  await until(() => live.size === 3);
  const [first] = live;
  first!.write(encodeRoute(key, 1, route));
  await until(() => routed.length === 1 && live.size === 4);
  assert.equal(dialled(), 4);
  close();
  await until(() => live.size === 1); // The one with a client is not the pool's any more.
  routed[0]!.destroy();
  await until(() => live.size === 0);
});

test("a ROUTE that is not genuine costs the connection only", async () => {
  const { pool, live, dialled, close } = await poolAtProxy(() => assert.fail());
  pool.want(1);
  await until(() => live.size === 1);
  const [first] = live;
  first!.write(encodeRoute(new Uint8Array(32), 1, route));
  await until(() => dialled() === 2 && !live.has(first!));
  close();
});

test("an idle connection is replaced after its life", async () => {
  const { pool, clock, live, dialled, close } = await poolAtProxy(() => assert.fail());
  pool.want(2);
  await until(() => live.size === 2);
  clock.advance(IDLE_LIFE_MS * 0.79);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(dialled(), 2);
  clock.advance(IDLE_LIFE_MS * 0.22);
  await until(() => dialled() === 4 && live.size === 2);
  close();
});

test("where no way gets through both are tried, and then there is a pause", async (t) => {
  const ways = { plain: 0, nested: 0 };
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const clock = virtualClock();
  let ended = 0;
  const dial = (way: keyof typeof ways) => async (signal: AbortSignal) => {
    ways[way]++;
    const socket = await dialDirect({ host: "127.0.0.1", port }, signal);
    return socket.once("close", () => ended++);
  };
  const pool = new IdlePool({
    ...{ clock, key, counters: new Counters(), log: silentLogger },
    address: `127.0.0.1:${port}`,
    controlId: "00".repeat(16),
    onRoute: () => assert.fail(),
    dialTcp: (_, signal) => dial("plain")(signal),
    dialNested: dial("nested"),
  });
  t.after(() => pool.close());
  pool.want(1);
  await until(() => ended === 2 * EARLY_ENDS);
  assert.deepEqual(ways, { plain: EARLY_ENDS, nested: EARLY_ENDS });
  clock.advance(RECONNECT_MAX_MS);
  await until(() => ended === 4 * EARLY_ENDS);
  assert.deepEqual(ways, { plain: 2 * EARLY_ENDS, nested: 2 * EARLY_ENDS });
});
