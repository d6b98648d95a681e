import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { sleep } from "../base/mod.ts";
import { startHosts } from "./hosts.ts";
import { needs } from "./needs.ts";
import { BackgroundProcess } from "./process.ts";

test("four hosts: who reaches whom, by which name", needs("root", "tun", "ip", "nc", "dig"), async () => {
  await using hosts = await startHosts({ "extra.example.net": "203.0.113.9" });
  const { laptop, proxy, agent, db } = hosts;

  assert.equal(await agent.execOk(["hostname"]), "agent\n");
  assert.equal(await laptop.execOk(["dig", "+short", "teleport.example.com"]), "198.51.100.20\n");
  assert.equal(await laptop.execOk(["dig", "+short", "tcp-app.teleport.example.com"]), "198.51.100.20\n");
  assert.equal(await laptop.execOk(["dig", "+short", "extra.example.net"]), "203.0.113.9\n");
  assert.match(await laptop.execOk(["dig", "nowhere.example.net"]), /status: NXDOMAIN/);
  assert.ok(hosts.dnsQueries().includes("nowhere.example.net A"));

  await using web = proxy.spawn("web", ["nc", "-l", "198.51.100.20", "443"]);
  assert.equal(
    (await until(() => laptop.exec(["nc", "-N", "teleport.example.com", "443"], { input: "hello" }))).code,
    0,
  );
  await web.waitFor(/hello/);

  db.spawn("database", ["nc", "-lk", "10.77.0.40", "5432"]);
  assert.equal((await until(() => agent.exec(["nc", "-z", "10.77.0.40", "5432"]))).code, 0);
  const direct = await laptop.exec(["nc", "-z", "-w", "1", "10.77.0.40", "5432"]);
  assert.equal(direct.code, 1, "the laptop has no way to the database");
});

test("a host's files are its own, and nothing of it remains", needs("root", "tun", "ip"), async () => {
  const before = readFileSync("/etc/hosts", "utf8");
  const mounts = readFileSync("/proc/mounts", "utf8");
  const hosts = await startHosts();
  await hosts.laptop.execOk([
    "sh",
    "-c",
    "echo wrecked >/etc/hosts; echo x >/root/mark; rm -rf /var/lib; ls /tmp /dev/net/tun",
  ]);
  assert.equal((await hosts.proxy.exec(["ls", "/root/mark"])).code, 2, "hosts share no files");
  const left = hosts.laptop.spawn("daemon", ["sleep", "1000"]);
  const { pid } = left;
  await hosts[Symbol.asyncDispose]();
  assert.equal(readFileSync("/etc/hosts", "utf8"), before);
  assert.equal(readFileSync("/proc/mounts", "utf8"), mounts);
  assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
});

test("kill -9 of the test takes its hosts along", needs("root", "tun", "ip"), async () => {
  const script = `
    import { startHosts } from ${JSON.stringify(join(import.meta.dirname, "hosts.ts"))};
    const { laptop } = await startHosts();
    console.log("pid", laptop.spawn("daemon", ["sleep", "1000"]).pid, laptop.pid);`;
  await using victim = new BackgroundProcess("victim", [process.execPath, "--input-type=module", "-e", script]);
  const [, daemon, init] = await victim.waitFor(/^pid (\d+) (\d+)$/m);
  victim.signal("SIGKILL");
  for (const pid of [Number(daemon), Number(init)]) {
    while (isAlive(pid)) await sleep(10); // the test's own limit is the bound
  }
});

/** A zombie has ended: the machine's pid 1 may take its time to collect it. */
function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
}

/** Tries again until exit code 0, at most 100 times: a server needs a moment to listen. */
async function until<T extends { code: number | null }>(attempt: () => Promise<T>): Promise<T> {
  let result = await attempt();
  for (let tries = 1; result.code !== 0 && tries < 100; tries++) result = await attempt();
  return result;
}
