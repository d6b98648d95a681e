/** The database host's further services, each an app below company.test, and alice with VNet running. */
import { join } from "node:path";
import { Lifetime } from "../../src/base/mod.ts";
import { type SshServer, startRedis, startSshd } from "../../src/testkit/mod.ts";
import { type AppSpec, CLUSTER_NEEDS, GuideCluster, writeFile } from "./guide-cluster.ts";

export const SERVICES_NEEDS = [...CLUSTER_NEEDS, "redis", "redis-cli", "ssh", "sshd", "pgbench", "nc"] as const;
export const BULK_PORT = 7000;
export const WEB_PORT = 8080;

const PROJECT = join(import.meta.dirname, "../..");
const DB = "10.77.0.40";
const APPS: AppSpec[] = [
  ["tcp-app", 5432],
  ["redis", 6379],
  ["ssh", 22],
  ["bulk", BULK_PORT],
  ["web", WEB_PORT],
].map(([name, port]) => ({ name: `${name}`, uri: `tcp://${DB}:${port}`, publicAddr: `${name}.company.test` }));

export interface Services extends AsyncDisposable {
  readonly cluster: GuideCluster;
  readonly sshd: SshServer;
}

/** All of it up: services, cluster, zone, login, `sudo tsh vnet`. */
export async function startServices(tell?: (text: string) => void): Promise<Services> {
  const lifetime = new Lifetime();
  try {
    const cluster = lifetime.use(await GuideCluster.start({ apps: APPS, ...(tell && { tell }) }));
    const { db, laptop } = cluster.hosts;
    lifetime.use(await startRedis({ machine: db, port: 6379 }));
    const sshd = lifetime.use(await startSshd({ machine: db, port: 22 }));
    await startBulk(cluster);
    await startWeb(cluster);
    await laptop.execOk(["./install"], { cwd: PROJECT });
    await cluster.login();
    const zone =
      "kind: vnet_config\nversion: v1\nmetadata:\n  name: vnet-config\nspec:\n  custom_dns_zones:\n  - suffix: company.test\n";
    await cluster.alice.file("vnet-config.yaml", zone);
    await cluster.alice.type("tctl create vnet-config.yaml");
    await cluster.startVnet();
    await writeFile(cluster.laptop, "/home/alice/key", sshd.privateKey);
    await writeFile(cluster.laptop, "/home/alice/known_hosts", `ssh.company.test ${sshd.hostKey}\n`);
    await cluster.alice.type("chmod 600 key");
    return { cluster, sshd, [Symbol.asyncDispose]: () => lifetime.close() };
  } catch (error) {
    await lifetime.close();
    throw error;
  }
}

/** What a client on the laptop says: `bulk.ts send|fetch` through VNet. */
export function bulkCommand(direction: "send" | "fetch", octets: number): string {
  const file = join(import.meta.dirname, "bulk.ts");
  return `${process.execPath} ${file} ${direction} bulk.company.test ${BULK_PORT} ${octets}`;
}

async function startBulk(cluster: GuideCluster): Promise<void> {
  const file = join(import.meta.dirname, "bulk.ts");
  const server = cluster.hosts.db.spawn("bulk", [process.execPath, file, "serve", DB, String(BULK_PORT)]);
  await server.waitFor(/^ready$/m);
}

async function startWeb(cluster: GuideCluster): Promise<void> {
  const script = `
    require("node:http").createServer((request, response) => response.end("hello from " + request.headers.host))
      .listen(${WEB_PORT}, "${DB}", () => console.log("ready"))`;
  const server = cluster.hosts.db.spawn("web", [process.execPath, "-e", script]);
  await server.waitFor(/^ready$/m);
}
