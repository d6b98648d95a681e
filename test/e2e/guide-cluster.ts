/**
 * The guide's cast on four hosts: a cluster with Auth and Proxy at
 * teleport.example.com, an agent that joined it by token and pin, a database
 * that only the agent can reach, and alice's laptop, where nobody is logged in
 * yet and VNet does not run.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Lifetime } from "../../src/base/mod.ts";
import {
  asUser,
  type BackgroundProcess,
  type Hosts,
  type Machine,
  makeWebPki,
  type Server,
  startHosts,
  startPostgres,
  Transcript,
  trustWebPki,
} from "../../src/testkit/mod.ts";

export const PROXY = "teleport.example.com";
export const USER = "email@example.com";
export const PASSWORD = "correct horse battery staple";
/** Needs of every test on this cluster. */
export const CLUSTER_NEEDS = ["root", "tun", "ip", "openssl", "curl", "sudo", "postgres", "psql", "setpriv"] as const;

const PROJECT = join(import.meta.dirname, "../..");
const AGENT_CONFIG = "/etc/teleport.yaml";

export interface AppSpec {
  name: string;
  uri: string;
  publicAddr?: string;
}

export class GuideCluster implements AsyncDisposable {
  readonly hosts: Hosts;
  /** Alice's shell on the laptop. */
  readonly alice: Transcript;
  readonly laptop: Machine;
  readonly database: Server;
  readonly pin: string;
  readonly #lifetime: Lifetime;
  #agent: BackgroundProcess;

  private constructor(
    lifetime: Lifetime,
    o: { hosts: Hosts; database: Server; pin: string; agent: BackgroundProcess; tell?: (text: string) => void },
  ) {
    this.#lifetime = lifetime;
    this.hosts = o.hosts;
    this.database = o.database;
    this.pin = o.pin;
    this.#agent = o.agent;
    this.laptop = asUser(o.hosts.laptop, "alice");
    this.alice = new Transcript({ machine: this.laptop, env: {}, cwd: "/home/alice", ...(o.tell && { tell: o.tell }) });
  }

  /** `apps` defaults to the guide's one: tcp-app, still without a public address. */
  static async start(o: { apps?: AppSpec[]; tell?: (text: string) => void } = {}): Promise<GuideCluster> {
    const lifetime = new Lifetime();
    try {
      const hosts = lifetime.use(await startHosts());
      const [database, pki] = await Promise.all([
        startPostgres({ machine: hosts.db, port: 5432, maxConnections: 300 }),
        makeWebPki([PROXY, `*.${PROXY}`]),
        addAlice(hosts.laptop),
      ]);
      lifetime.use(database);
      const members = [hosts.laptop, hosts.proxy, hosts.agent];
      await Promise.all(members.map((host) => trustWebPki(host, pki)));
      // The laptop's own installation is a step of the guide.
      await Promise.all([hosts.proxy, hosts.agent].map((host) => host.execOk(["./install"], { cwd: PROJECT })));
      await startProxy(hosts.proxy, pki);
      const pin = /CA pin\s+(sha256:\S+)/.exec(await hosts.proxy.execOk(["tctl", "status"]))?.[1] ?? "";
      await inviteUser(hosts);
      await configureAgent(hosts, pin, o.apps ?? [{ name: "tcp-app", uri: databaseUri(database) }]);
      const agent = await startAgent(hosts.agent);
      return new GuideCluster(lifetime, { hosts, database, pin, agent, ...(o.tell && { tell: o.tell }) });
    } catch (error) {
      await lifetime.close();
      throw error;
    }
  }

  /** What `tcp://localhost:5432` of the guide is here: the database has a host of its own. */
  get uri(): string {
    return databaseUri(this.database);
  }

  get agentConfig(): Promise<string> {
    return this.hosts.agent.execOk(["cat", AGENT_CONFIG]);
  }

  /** "Restart the teleport daemon": SIGTERM, exit code 0, start. */
  async restartAgent(): Promise<void> {
    assert.deepEqual(await this.#agent.stop(), { code: 0, signal: null });
    this.#agent = await startAgent(this.hosts.agent);
  }

  async login(): Promise<void> {
    await this.alice.type(`echo '${PASSWORD}' | tsh login --proxy=${PROXY} --user=${USER}`);
  }

  /** `tsh vnet` in a terminal of its own; ready when this returns. */
  async startVnet(): Promise<BackgroundProcess> {
    const vnet = this.alice.background("tsh vnet", "sudo tsh vnet");
    await vnet.waitFor(/VNet is ready\./);
    return vnet;
  }

  /** Events of one type, oldest first. */
  async audit(type: string): Promise<Array<Record<string, unknown>>> {
    const lines = await this.hosts.proxy.execOk(["sh", "-c", "cat /var/lib/teleport/log/*"]);
    const events = lines.trim().split("\n");
    return events.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ event }) => event === type);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#lifetime.close();
  }
}

function databaseUri(database: Server): string {
  return `tcp://${database.address}:${database.port}`;
}

async function addAlice(laptop: Machine): Promise<void> {
  await laptop.execOk(["useradd", "--create-home", "--shell", "/bin/bash", "alice"]);
  const rule = "alice ALL=(ALL) NOPASSWD: ALL\n";
  await laptop.execOk(["sh", "-c", "cat >/etc/sudoers.d/alice && chmod 440 /etc/sudoers.d/alice"], { input: rule });
}

async function startProxy(proxy: Machine, pki: { certPem: string; keyPem: string }): Promise<void> {
  await writeFile(proxy, "/etc/teleport-web.pem", pki.certPem);
  await writeFile(proxy, "/etc/teleport-web.key", pki.keyPem);
  await writeFile(
    proxy,
    "/etc/teleport.yaml",
    `version: v3
teleport:
  nodename: proxy
  data_dir: /var/lib/teleport
auth_service:
  enabled: yes
  cluster_name: ${PROXY}
  authentication:
    second_factors: []
proxy_service:
  enabled: yes
  web_listen_addr: 0.0.0.0:443
  public_addr: ${PROXY}:443
  https_keypairs:
  - cert_file: /etc/teleport-web.pem
    key_file: /etc/teleport-web.key
ssh_service:
  enabled: no
`,
  );
  const daemon = proxy.spawn("teleport", ["teleport", "start"]);
  await until(daemon, () => proxy.exec(["curl", "-sf", "-o", "/dev/null", `https://${PROXY}/webapi/find`]));
}

async function inviteUser(hosts: Hosts): Promise<void> {
  const invitation = await hosts.proxy.execOk(["tctl", "users", "add", "--roles=access,editor", USER]);
  const link = /https:\S+\/web\/invite\/\S+/.exec(invitation)?.[0];
  assert.ok(link, invitation);
  const fields = ["password", "confirm"].flatMap((name) => ["--data-urlencode", `${name}=${PASSWORD}`]);
  await hosts.laptop.execOk(["curl", "-sf", "-o", "/dev/null", ...fields, link]);
}

/** The agent's `/etc/teleport.yaml`; the administrator carries token and pin over by hand. */
async function configureAgent(hosts: Hosts, pin: string, apps: AppSpec[]): Promise<void> {
  const token = await hosts.proxy.execOk(["tctl", "tokens", "add", "--type=app", "--format=text"]);
  await writeFile(hosts.agent, "/tmp/token", token);
  const entries = apps.map(
    ({ name, uri, publicAddr }) =>
      `  - name: "${name}"\n    uri: ${uri}\n${publicAddr === undefined ? "" : `    public_addr: "${publicAddr}"\n`}`,
  );
  await writeFile(
    hosts.agent,
    AGENT_CONFIG,
    `version: v3\n${agentSections(pin)}app_service:\n  enabled: yes\n  apps:\n${entries.join("")}`,
  );
}

/** What stands in the agent's file around the guide's fragment. */
export function agentSections(pin: string): string {
  return `teleport:
  nodename: agent
  data_dir: /var/lib/teleport
  proxy_server: ${PROXY}:443
  ca_pin: ${pin}
  join_params:
    method: token
    token_name: /tmp/token
auth_service:
  enabled: no
proxy_service:
  enabled: no
ssh_service:
  enabled: no
`;
}

async function startAgent(agent: Machine): Promise<BackgroundProcess> {
  return agent.spawn("teleport", ["teleport", "start"]);
}

export async function writeFile(machine: Machine, path: string, content: string): Promise<void> {
  await machine.execOk(["sh", "-c", 'cat >"$0"', path], { input: content });
}

/** Repeats `attempt` until it exits with 0; fails with the daemon's output after 20 s or when that has ended. */
async function until(daemon: BackgroundProcess, attempt: () => Promise<{ code: number | null }>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while ((await attempt()).code !== 0) {
    assert.ok(daemon.running && performance.now() < deadline, `${daemon.name}:\n${daemon.output}`);
  }
}
