import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { test } from "node:test";
import { type AppServer, healthOf, type TargetHealth } from "../api/mod.ts";
import { type Clock, silentLogger, sleep, systemClock } from "../base/mod.ts";
import { freePort, startTestCluster, tcpApp } from "../testkit/mod.ts";
import { HealthChecks } from "./health.ts";
import { HEALTH_SPREAD_MS } from "./limits.ts";

const INTERVAL_MS = 20;

async function listen(port: number, onConnection = () => {}): Promise<Server> {
  const server = createServer((socket) => {
    onConnection();
    socket.destroy();
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return server.unref(); // A test that fails ends, too.
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    assert.ok(performance.now() < deadline, `not in time: ${what}`);
    await sleep(10);
  }
}

test("an app's health follows whether it accepts, and each change is told once", async () => {
  const port = await freePort();
  const told: string[] = [];
  const checks = new HealthChecks({
    clock: systemClock,
    log: silentLogger,
    intervalMs: INTERVAL_MS,
    changed: (app) => told.push(`${app} ${checks.of(app)?.status}`),
  });
  checks.set([tcpApp("db", `tcp://127.0.0.1:${port}`)]);
  assert.equal(checks.of("db"), undefined);
  await until("it is down", () => told.length === 1);
  assert.match(checks.of("db")?.transition_error ?? "", /refused the connection/);
  assert.equal(checks.of("db")?.address, `127.0.0.1:${port}`);
  let connections = 0;
  const server = await listen(port, () => connections++);
  await until("it is up", () => told.length === 2);
  assert.equal(checks.of("db")?.transition_error, undefined);
  await until("it is dialled again and again", () => connections >= 3);
  server.close();
  await until("it is down again", () => told.length === 3);
  checks.stop();
  assert.deepEqual(told, ["db unhealthy", "db healthy", "db unhealthy"]);
});

test("several ports: the first is dialled; web apps: their own; none after the stop", async () => {
  const counts = [0, 0];
  const servers = [await listen(0, () => counts[0]!++), await listen(0, () => counts[1]!++)];
  const [first, second] = servers.map((server) => (server.address() as AddressInfo).port) as [number, number];
  // The third app's turn does not come before the stop, however slow the machine is.
  let late: "waits" | "cancelled" | undefined;
  const after: Clock["after"] = (delayMs, run) => {
    if (delayMs !== 2 * HEALTH_SPREAD_MS) return systemClock.after(delayMs, run);
    late = "waits";
    return { cancel: () => (late = "cancelled") };
  };
  const clock = { ...systemClock, after };
  const checks = new HealthChecks({ clock, log: silentLogger, intervalMs: 10_000, changed: () => {} });
  checks.set([
    tcpApp("many", "tcp://127.0.0.1", { tcp_ports: [{ port: first }, { port: 1 }] }),
    tcpApp("web", `http://127.0.0.1:${second}/path`),
    tcpApp("late", `tcp://127.0.0.1:${second}`),
  ]);
  await until("both were dialled", () => checks.of("web") !== undefined && checks.of("many") !== undefined);
  assert.equal(late, "waits");
  checks.stop();
  assert.equal(late, "cancelled");
  await until("both have noticed", () => counts[0]! > 0 && counts[1]! > 0);
  assert.deepEqual(counts, [1, 1]);
  assert.equal(checks.of("late"), undefined);
  for (const server of servers) server.close();
});

test("health over several agents", () => {
  const of = (...all: TargetHealth["status"][]) =>
    healthOf(all.map((status) => ({ status: { target_health: { status } } }) as AppServer));
  assert.equal(of("healthy"), "healthy");
  assert.equal(of("healthy", "unknown"), "healthy");
  assert.equal(of("unhealthy", "unhealthy"), "unhealthy");
  assert.equal(of("unhealthy", "healthy", "healthy"), "2 of 3 healthy");
  assert.equal(of("unknown"), "unknown");
  assert.equal(healthOf([]), "unknown");
});

test("the cluster sees each agent's word, and its change", async () => {
  const port = await freePort();
  await using cluster = await startTestCluster({
    healthIntervalMs: INTERVAL_MS,
    apps: [tcpApp("db", `tcp://127.0.0.1:${port}`)],
  });
  await using admin = await cluster.adminClient();
  const db = async () => {
    const { resources } = await admin.call("resource.list", { kind: "app_server" });
    return (resources as AppServer[]).find(({ spec }) => spec.app.metadata.name === "db")?.status?.target_health;
  };
  await until("it is down", async () => (await db())?.status === "unhealthy");
  const server = await listen(port);
  await until("it is up", async () => (await db())?.status === "healthy");
  server.close();
});
