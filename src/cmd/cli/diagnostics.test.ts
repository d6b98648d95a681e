import assert from "node:assert/strict";
import { test } from "node:test";
import { Counters } from "../../base/mod.ts";
import { Diagnostics } from "./diagnostics.ts";

async function get(address: string, path: string, method = "GET"): Promise<{ code: number; body: string }> {
  const answer = await fetch(`http://${address}${path}`, { method });
  return { code: answer.status, body: await answer.text() };
}

test("a process is healthy while it runs, and ready once all its components are and none has a problem", async () => {
  const diagnostics = new Diagnostics("teleport");
  await using server = await diagnostics.listen("127.0.0.1:0");
  const started = Promise.withResolvers<void>();
  let problem: string | undefined;
  diagnostics.component("auth");
  diagnostics.component("proxy", { ready: started.promise, problem: () => problem });
  assert.deepEqual(await get(server.address, "/healthz"), { code: 200, body: '{"status":"ok"}\n' });
  assert.deepEqual(await get(server.address, "/readyz"), { code: 503, body: '{"status":"proxy is starting"}\n' });
  started.resolve();
  await started.promise;
  assert.deepEqual(await get(server.address, "/readyz"), { code: 200, body: '{"status":"ok"}\n' });
  problem = "Auth is away";
  assert.deepEqual(await get(server.address, "/readyz"), { code: 503, body: '{"status":"proxy: Auth is away"}\n' });
});

test("a component that never became ready stays so", async () => {
  const diagnostics = new Diagnostics("teleport");
  await using server = await diagnostics.listen("[::1]:0");
  diagnostics.component("app", { ready: Promise.reject(new Error("ended")) });
  assert.equal((await get(server.address, "/readyz")).code, 503);
});

test("metrics are Prometheus text: each component's counters as they are now, gauges, the process", async () => {
  const diagnostics = new Diagnostics("tsh");
  await using server = await diagnostics.listen("127.0.0.1:0");
  const counters = new Counters();
  diagnostics.component("proxy", { counters });
  let agents = 2;
  diagnostics.gauge("teleport_connected_agents", "Agents.", () => agents);
  counters.count("port.too-many", 3);
  const first = (await get(server.address, "/metrics")).body;
  assert.match(first, /^# TYPE teleport_events_total counter$/m);
  assert.match(first, /^teleport_events_total\{component="proxy",event="port.too-many"\} 3$/m);
  assert.match(first, /^teleport_connected_agents 2$/m);
  assert.match(first, /^teleport_component_ready\{component="proxy"\} 1$/m);
  assert.match(first, /^teleport_build_info\{program="tsh",version="[\d.]+",node="v26/m);
  assert.match(first, /^process_resident_memory_bytes \d+$/m);
  counters.count("port.too-many");
  agents = 0;
  const second = (await get(server.address, "/metrics")).body;
  assert.match(second, /event="port.too-many"\} 4$/m);
  assert.match(second, /^teleport_connected_agents 0$/m);
});

test("what else is asked for is refused", async () => {
  await using server = await new Diagnostics("teleport").listen("127.0.0.1:0");
  assert.equal((await get(server.address, "/debug")).code, 404);
  assert.equal((await get(server.address, "/metrics", "POST")).code, 405);
  await assert.rejects(new Diagnostics("teleport").listen(server.address), { code: "cmd.diag-listen" });
});
