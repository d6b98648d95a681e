import type { Role } from "../../src/api/mod.ts";
import type { RpcClient } from "../../src/rpc/mod.ts";

/**
 * How long a change takes to reach the last of `watchers` (ms), one change at a
 * time, and how many changes a second reach all of them when they are written
 * as fast as Auth takes them.
 */
export async function fanOut(
  open: () => RpcClient,
  writer: RpcClient,
  o: { watchers: number; changes: number },
): Promise<{ lastMs: number[]; perSecond: number }> {
  const clients = Array.from({ length: o.watchers }, open);
  const counts = new Array<number>(o.watchers).fill(0);
  let wake = () => {};
  const stop = new AbortController();
  const seen = (watcher: number) => {
    counts[watcher]!++;
    wake();
  };
  const ready = clients.map((client, i) => follow(client, () => seen(i), stop.signal));
  await Promise.all(ready);
  const reached = async (count: number) => {
    while (counts.some((each) => each < count)) await new Promise<void>((resolve) => (wake = resolve));
  };
  const lastMs: number[] = [];
  for (let change = 1; change <= o.changes; change++) {
    const began = performance.now();
    await writer.call("resource.upsert", { resource: roleOf(change) });
    await reached(change);
    lastMs.push(performance.now() - began);
  }
  const began = performance.now();
  const writes = Array.from({ length: o.changes }, (_, i) => writer.call("resource.upsert", { resource: roleOf(i) }));
  await Promise.all([...writes, reached(2 * o.changes)]);
  const perSecond = (o.changes / (performance.now() - began)) * 1000;
  stop.abort(new Error("measured"));
  await Promise.all(clients.map((client) => client.close()));
  return { lastMs, perSecond };
}

/** Resolves when all that exists has been told. */
function follow(client: RpcClient, changed: () => void, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const run = async () => {
    let live = false;
    for await (const event of client.watch(["role"], signal)) {
      if (event.type === "init") resolve();
      else if (live) changed();
      live ||= event.type === "init";
    }
  };
  run().catch((error: unknown) => {
    if (!signal.aborted) reject(error);
  });
  return promise;
}

function roleOf(n: number): Role {
  return {
    kind: "role",
    version: "v7",
    metadata: { name: "bench-fan-out", description: `change ${n}` },
    spec: { allow: { app_labels: { env: "dev" } } },
  };
}
