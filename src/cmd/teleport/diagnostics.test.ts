import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseTeleportConfig } from "../../config/mod.ts";
import { runTeleport } from "./start.ts";

test("teleport --diag-addr: health from the start, readiness with the services, counted calls; a JSON log", async () => {
  const dir = await mkdtemp(join(tmpdir(), "diag-"));
  const [port, authPort] = [await freePort(), await freePort()];
  const file = `
version: v3
teleport:
  nodename: diag.test
  data_dir: ${dir}
  log: { output: ${dir}/teleport.log, format: { output: json } }
auth_service: { listen_addr: "127.0.0.1:${authPort}" }
proxy_service: { web_listen_addr: "127.0.0.1:0" }
`;
  const config = parseTeleportConfig(file, "teleport.yaml", { diagAddr: `127.0.0.1:${port}` });
  const stop = new AbortController();
  const running = runTeleport(
    config,
    { webRoots: { certFile: undefined, certDir: undefined }, dialTcp: undefined },
    stop.signal,
  );
  try {
    const url = `http://127.0.0.1:${port}`;
    await until(async () => (await fetch(`${url}/readyz`)).status === 200, running);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    assert.match(metrics, /^teleport_component_ready\{component="auth"\} 1$/m);
    assert.match(metrics, /^teleport_component_ready\{component="proxy"\} 1$/m);
    assert.match(metrics, /^teleport_events_total\{component="auth",event="rpc.resource.upsert.ok"\} [1-9]/m);
    assert.match(metrics, /^teleport_connected_agents 0$/m);
  } finally {
    stop.abort();
    await running;
  }
  const lines = (await readFile(join(dir, "teleport.log"), "utf8")).trim().split("\n");
  const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
  assert.ok(messages.includes("The Teleport services are ready"), messages.join("\n"));
  await rm(dir, { recursive: true });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Asks until it is so; a service that ends meanwhile ends the wait. */
async function until(holds: () => Promise<boolean>, running: Promise<void>): Promise<void> {
  const ended = running.then(() => {
    throw new Error("it ended before it was ready");
  });
  for (;;) {
    const done = await Promise.race([holds().catch(() => false), ended]);
    if (done) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
