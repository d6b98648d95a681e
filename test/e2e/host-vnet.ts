/** `tsh vnet` on the laptop of four hosts, with all that it may change in view. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { sleep } from "../../src/base/mod.ts";
import type { BackgroundProcess, Machine, RunResult } from "../../src/testkit/mod.ts";
import type { VnetStatus } from "../../src/vnet/mod.ts";
import { type AppSpec, CLUSTER_NEEDS, GuideCluster, PROXY } from "./guide-cluster.ts";

export const HOST_NEEDS = [...CLUSTER_NEEDS, "dig"] as const;
export const WEB_PORT = 8080;
export const ZONES = `Serving TCP apps of ${PROXY} below company.test, ${PROXY}`;
/** Everything is back at the latest after this (DESIGN, invariant 9). */
const RESTORE_MS = 1_000;

const PROJECT = join(import.meta.dirname, "../..");
const DB = "10.77.0.40";

const app = (name: string, port: number, zone = "company.test"): AppSpec => ({
  name,
  uri: `tcp://${DB}:${port}`,
  publicAddr: `${name}.${zone}`,
});

export class LaptopVnet implements AsyncDisposable {
  readonly cluster: GuideCluster;
  /** The laptop as its administrator sees it. */
  readonly root: Machine;
  readonly alice: Machine;

  private constructor(cluster: GuideCluster) {
    this.cluster = cluster;
    this.root = cluster.hosts.laptop;
    this.alice = cluster.laptop;
  }

  /** The zone is there, alice is logged in, VNet does not run. */
  static async prepare(): Promise<LaptopVnet> {
    const apps = [app("tcp-app", 5432), app("web", WEB_PORT), app("fresh", WEB_PORT), app("late", 5432, "example.com")];
    const cluster = await GuideCluster.start({ apps });
    try {
      const { laptop, db } = cluster.hosts;
      await Promise.all([laptop.execOk(["./install"], { cwd: PROJECT }), startWeb(db)]);
      await cluster.login();
      await cluster.alice.file("vnet-config.yaml", vnetConfig(["company.test"]));
      await cluster.alice.type("tctl create vnet-config.yaml");
      return new LaptopVnet(cluster);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts what brings VNet up, as `machine`'s user; ready when this returns. */
  async start(command = ["sudo", "tsh", "vnet"], machine = this.alice, env = {}): Promise<BackgroundProcess> {
    const vnet = machine.spawn("tsh vnet", command, { env });
    try {
      await vnet.waitFor(/^VNet is ready\.\s*$/m);
    } catch (error) {
      await vnet.stop(); // The next test starts one of its own.
      throw error;
    }
    return vnet;
  }

  /** All that VNet may change on the host, as text; `times` of files too, unless others write them meanwhile. */
  snapshot({ times = true } = {}): Promise<string> {
    // Link-local addresses come and go with devices, and VNet's has none.
    const script = `(ip rule; ip -6 rule; ip route show table all; ip -6 route show table all; ip -o address) | grep -v fe80
      ls -l --time-style=${times ? "+%s" : "+"} /etc/resolv* /etc/*vnet* 2>/dev/null; cat /etc/resolv.conf`;
    return this.root.execOk(["sh", "-c", script]);
  }

  /** Fails unless the host is as before within a second; answers after how many ms it was seen to be. */
  async restored(before: string, since: number, options = {}): Promise<number> {
    let now = await this.snapshot(options);
    while (now !== before && performance.now() < since + RESTORE_MS) {
      await sleep(10);
      now = await this.snapshot(options);
    }
    assert.equal(now, before);
    return Math.round(performance.now() - since);
  }

  /** VNet's processes: launcher, user process and guard. */
  async running(): Promise<string[]> {
    const listing = await this.root.execOk(["ps", "-e", "-o", "args="]);
    return listing.split("\n").filter((line) => /tsh\.ts|undo_network/.test(line));
  }

  /** The pids of VNet's processes inside the laptop. */
  async processes(): Promise<{ launcher: string; user: string; guard: string }> {
    const listing = await this.root.execOk(["ps", "-e", "-o", "pid=,ppid=,comm=,args="]);
    const [, user, launcher] = /^\s*(\d+)\s+(\d+) .*tsh\.ts.* vnet-user-process( |$)/m.exec(listing) ?? [];
    assert.ok(user !== undefined && launcher !== undefined, listing);
    const [, guard] = new RegExp(`^\\s*(\\d+)\\s+${launcher} sh `, "m").exec(listing) ?? [];
    assert.ok(guard !== undefined, listing);
    return { launcher, user, guard };
  }

  async kill(signal: string, pid: string): Promise<void> {
    await this.root.execOk(["kill", `-${signal}`, pid]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cluster[Symbol.asyncDispose]();
  }
}

export function vnetConfig(zones: readonly string[], range?: string): string {
  const suffixes = zones.map((zone) => `  - suffix: ${zone}\n`).join("");
  const ipv4 = range === undefined ? "" : `  ipv4_cidr_range: ${range}\n`;
  return `kind: vnet_config\nversion: v1\nmetadata:\n  name: vnet-config\nspec:\n${ipv4}  custom_dns_zones:\n${suffixes}`;
}

export const PSQL = ["psql", "postgres://postgres@tcp-app.company.test/postgres", "-Atc"];

/** psql by name: answers where PostgreSQL sees it coming from. */
export async function clientAddress(machine: Machine): Promise<string> {
  return (await machine.execOk([...PSQL, "select host(inet_client_addr())"])).trim();
}

const AGENT = "10.77.0.30";

/** What people use finds apps, and names that are not VNet's: libc's resolver, own resolvers, over UDP and TCP. */
export async function assertClients(laptop: LaptopVnet, { ipv6 = true } = {}): Promise<void> {
  const { alice } = laptop;
  const output = async (...command: string[]) => (await alice.execOk(command)).trim();
  assert.match(await output("getent", "ahostsv4", "tcp-app.company.test"), /^100\./);
  if (ipv6) assert.match(await output("getent", "ahostsv6", "tcp-app.company.test"), /^fd/);
  assert.match(await output("getent", "ahostsv4", "upstream.example.org"), /^203\.0\.113\.7 /);
  for (const transport of ["+notcp", "+tcp"]) {
    assert.match(await output("dig", "+short", transport, "tcp-app.company.test", "A"), /^100\./);
  }
  assert.equal(await output("dig", "+short", "upstream.example.org", "A"), "203.0.113.7");
  // Asked by Chromium for ports other than 443: nothing in it may lead past VNet.
  assert.equal(await output("dig", "+short", `_${WEB_PORT}._https.web.company.test`, "HTTPS"), "");
  assert.equal(await clientAddress(alice), AGENT);
  assert.equal(
    await output("curl", "-sS", `http://web.company.test:${WEB_PORT}/`),
    `hello from web.company.test:${WEB_PORT}`,
  );
  const script = `
    const dns = require("node:dns").promises;
    Promise.all([dns.lookup("web.company.test", 4), dns.resolve4("web.company.test"), dns.resolve4("upstream.example.org")])
      .then(([a, [b], [c]]) => console.log(a.address === b && b.startsWith("100."), c));`;
  assert.equal(await output(process.execPath, "-e", script), "true 203.0.113.7");
}

/** The machine's VNet, as `tsh vnet status` has it. */
export async function statusOf(laptop: LaptopVnet): Promise<VnetStatus> {
  const { vnets } = JSON.parse(await laptop.alice.execOk(["tsh", "vnet", "status", "--format=json"])) as {
    vnets: VnetStatus[];
  };
  const [status] = vnets;
  assert.equal(status?.kind, "host");
  return status!;
}

/** The servers to which VNet forwards now. */
export async function upstreamsOf(laptop: LaptopVnet): Promise<string[]> {
  return (await statusOf(laptop)).upstreams.map(({ address }) => address);
}

/** Repeats until true; answers after how many ms, and fails when that is too late. */
export async function within(limitMs: number, isSo: () => Promise<boolean>): Promise<number> {
  const since = performance.now();
  while (!(await isSo())) {
    assert.ok(performance.now() - since < limitMs, `not within ${limitMs} ms`);
    await sleep(20);
  }
  return performance.now() - since;
}

/** How it ended, and after how many ms. */
export async function timed(machine: Machine, command: string[]): Promise<RunResult & { ms: number }> {
  const since = performance.now();
  const result = await machine.exec(command);
  return { ...result, ms: performance.now() - since };
}

async function startWeb(db: Machine): Promise<void> {
  const script = `
    require("node:http").createServer((request, response) => response.end("hello from " + request.headers.host))
      .listen(${WEB_PORT}, "${DB}", () => console.log("ready"))`;
  await db.spawn("web", [process.execPath, "-e", script]).waitFor(/^ready$/m);
}
