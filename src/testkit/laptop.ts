import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Counters, seededRandom, silentLogger, systemClock } from "../base/mod.ts";
import { Upstreams } from "../dns/mod.ts";
import { runInNamespace } from "../host/mod.ts";
import { TUN_MTU } from "../tun/mod.ts";
import { type ClusterView, type Directory, type Outside, planAddresses, VNet } from "../vnet/mod.ts";
import { echoStream } from "./fake-directory.ts";

const CLUSTER: ClusterView = {
  profile: "teleport.example.com",
  cluster: "teleport.example.com",
  proxyHosts: ["teleport.example.com"],
  zones: ["company.test"],
  ipv4Cidr: "100.64.0.0/10",
  apps: [
    { name: "echo", publicAddr: "echo.company.test", protocol: "tcp", tcpPorts: [] },
    { name: "multi", publicAddr: "multi.company.test", protocol: "tcp", tcpPorts: [{ port: 1337 }] },
  ],
};

export interface LaptopOptions {
  /** The file `in` of the directory in which the script runs. */
  readonly input?: Uint8Array;
  /** Takes what goes beyond VNet; without it there is no way there. */
  readonly outside?: Outside;
}

/**
 * Runs a shell script in a namespace whose network is a VNet of this process: the echo apps `echo.company.test` and,
 * at port 1337 only, `multi.company.test`; at port 9 nobody is there. Returns what it wrote, both streams.
 */
export async function onLaptop(t: TestContext, script: string, options: LaptopOptions = {}): Promise<string> {
  const { input, outside } = options;
  const dir = mkdtempSync(join(tmpdir(), "vnet-kernel-"));
  t.after(() => rmSync(dir, { recursive: true }));
  if (input) writeFileSync(join(dir, "in"), input);
  const directory: Directory = {
    clusters: () => [CLUSTER],
    onChange: () => () => {},
    dial: (_cluster, _app, port) =>
      port === 9 ? Promise.reject(new Error("nobody there")) : Promise.resolve(echoStream()[0]),
  };
  const addresses = planAddresses([CLUSTER], seededRandom(1));
  const run = await runInNamespace({
    command: ["sh", "-c", `cd ${dir}; exec >out 2>&1; ${script}`],
    addresses: [`${addresses.tunV4}/32`, `${addresses.tunV6}/64`],
    routes: outside ? ["0.0.0.0/0", "::/0"] : addresses.ranges,
    dns: [addresses.dnsV4, addresses.dnsV6],
    mtu: TUN_MTU,
  });
  const counters = new Counters();
  const upstreams = new Upstreams({ servers: () => [], clock: systemClock, counters });
  const vnet = new VNet({
    tun: run.tun,
    directory,
    addresses,
    upstreams,
    ...(outside && { outside }),
    counters,
    clock: systemClock,
    random: seededRandom(2),
    log: silentLogger,
  });
  const served = vnet.run();
  const timer = setTimeout(() => run.kill("SIGKILL"), 20_000);
  await run.exited;
  clearTimeout(timer);
  await vnet.close();
  await served;
  run.tun.close();
  return readFileSync(join(dir, "out"), "utf8");
}
