import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { type Clock, systemClock } from "../base/mod.ts";
import { type DialFailure, dialApp } from "./dial.ts";

const never = new AbortController().signal;

function dial(host: string, port: number, o: { signal?: AbortSignal; timeoutMs?: number } = {}) {
  return dialApp({ host, port }, { signal: o.signal ?? never, timeoutMs: o.timeoutMs ?? 2_000, clock: systemClock });
}

function failure(result: Socket | DialFailure): DialFailure {
  assert.ok("refusal" in result, "expected a failure");
  return result;
}

test("an app that listens is connected to, by address and by name", async (t) => {
  const server = createServer((socket) => socket.end()).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  for (const host of ["127.0.0.1", "localhost"]) {
    const socket = await dial(host, port);
    assert.ok(!("refusal" in socket), JSON.stringify(socket));
    socket.destroy();
  }
});

test("a closed port is refused at once, an unknown name unreachable, a silent host a timeout", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  assert.equal(failure(await dial("127.0.0.1", port)).refusal, "connection-refused");
  assert.equal(failure(await dial("localhost", port)).refusal, "connection-refused");
  assert.equal(failure(await dial("no-such-host.invalid", 1)).refusal, "unreachable");

  const aborted = await dial("127.0.0.1", 1, { signal: AbortSignal.abort() });
  assert.equal(failure(aborted).refusal, "timeout");

  // Before any network can answer.
  const impatient: Clock = {
    ...systemClock,
    after: (_delayMs, run) => {
      queueMicrotask(run);
      return { cancel: () => {} };
    },
  };
  const target = { host: "192.0.2.1", port: 1 };
  const late = failure(await dialApp(target, { signal: never, timeoutMs: 4_500, clock: impatient }));
  assert.deepEqual(late, { refusal: "timeout", message: "192.0.2.1:1 did not answer within 4500 ms" });
});
