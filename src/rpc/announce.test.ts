import assert from "node:assert/strict";
import { test } from "node:test";
import { AccessDeniedError, type Resource } from "../api/mod.ts";
import { silentLogger, systemClock } from "../base/mod.ts";
import { Announcement } from "./announce.ts";
import { ConnectionLostError } from "./errors.ts";

/** Records calls; each `next` decides how one upsert ends. */
function fakeClient(next: () => Error | undefined = () => undefined) {
  const calls: string[] = [];
  const waiting: (() => void)[] = [];
  return {
    calls,
    client: {
      async call(method: string) {
        calls.push(method);
        waiting.shift()?.();
        const error = method === "resource.upsert" ? next() : undefined;
        if (error) throw error;
        return {} as never;
      },
    },
    called: () => new Promise<void>((resolve) => waiting.push(resolve)),
  };
}

function announce(client: ReturnType<typeof fakeClient>["client"], ttlMs: number) {
  const resource = (expires: number): Resource => ({
    kind: "proxy",
    version: "v1",
    metadata: { name: "p", expires: new Date(expires).toISOString() },
    spec: { hostname: "p", version: "1", public_addrs: [], tunnel_public_addr: "p:1" },
  });
  return new Announcement({ client, clock: systemClock, log: silentLogger, ttlMs, resource });
}

test("an announcement is renewed after half its life, and at once when it changed", async () => {
  const fake = fakeClient();
  const announcement = announce(fake.client, 100);
  await announcement.ready;
  const started = performance.now();
  await fake.called();
  const afterMs = performance.now() - started;
  assert.ok(afterMs > 40 && afterMs < 200, `renewed after ${afterMs} ms`);
  await announcement.stop();

  const changed = fakeClient();
  const slow = announce(changed.client, 60_000);
  await slow.ready;
  const renewed = changed.called();
  slow.renew();
  await renewed;
  await slow.withdraw(100);
  assert.deepEqual(changed.calls, ["resource.upsert", "resource.upsert", "resource.delete"]);
});

test("a change that comes while a write is under way is written too", async () => {
  const fake = fakeClient();
  const announcement = announce(fake.client, 60_000);
  announcement.renew(); // The first write has begun and has not ended.
  await announcement.ready;
  while (fake.calls.length < 2) await fake.called();
  await announcement.stop();
});

test("a lost connection is tried again soon, a refusal later; neither ends it", async () => {
  const outcomes = [new ConnectionLostError("gone"), new AccessDeniedError("not yours"), undefined];
  const fake = fakeClient(() => outcomes.shift());
  const announcement = announce(fake.client, 1_000);
  await announcement.ready;
  assert.equal(fake.calls.length, 3);
  await announcement.stop();
});
