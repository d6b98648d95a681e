import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { AppServer, User } from "../../src/api/mod.ts";
import { createCsr, generateKeyPair } from "../../src/pki/mod.ts";
import { joinCluster, RpcClient, tcpDial } from "../../src/rpc/mod.ts";

export const PASSWORD = "correct horse battery staple";
/** Who log in; the attempts of one user wait for each other. */
export const LOGIN_USERS = 8;
/** On a busy machine many logins at once wait long for each other. */
const LOGIN_PATIENCE_MS = 60_000;
/** Requests under way at once while the cluster is filled. */
const IN_FLIGHT = 64;

interface AdminFile {
  auth_addr: string;
  host_cas: string[];
  cert: string;
  key: string;
}

/** Clients of an Auth that was started with this administrator's file. */
export class Population {
  readonly admin: RpcClient;
  readonly #file: AdminFile;
  #agent: (RpcClient & { hostId: string }) | undefined;
  readonly #size: number;

  /** `size`: of what is there already. */
  constructor(adminFile: string, size = 0) {
    this.#file = JSON.parse(readFileSync(adminFile, "utf8"));
    this.#size = size;
    this.admin = this.adminClient();
  }

  /** A connection of its own. */
  adminClient(): RpcClient {
    return this.client({ certPem: this.#file.cert, keyPem: this.#file.key });
  }

  client(identity?: { certPem: string; keyPem: string }): RpcClient {
    return new RpcClient({ dial: tcpDial(this.#file.auth_addr), trust: { hostCas: this.#file.host_cas }, identity });
  }

  /** As many apps, and users besides. */
  async grow(size: number): Promise<void> {
    const agent = await this.#join();
    this.#agent = agent;
    const numbers = Array.from({ length: size - this.#size }, (_, i) => this.#size + i);
    await inParallel(numbers, (n) => agent.call("resource.upsert", { resource: serverOf(agent.hostId, n) }));
    await inParallel(numbers, (n) => this.admin.call("resource.create", { resource: userOf(n) }));
  }

  /** Those who can log in and reach every app. */
  async createUsers(): Promise<void> {
    await using anonymous = this.client();
    for (let i = 0; i < LOGIN_USERS; i++) {
      const { token } = await this.admin.call("user.invite", { name: `login-${i}`, roles: ["access"] });
      await anonymous.call("invite.accept", { token, password: PASSWORD });
    }
  }

  async login(via: RpcClient, csr: string, i = 0): Promise<string> {
    const request = { user: `login-${i % LOGIN_USERS}`, password: PASSWORD, csr };
    const { login } = await via.call("login.password", request, { timeoutMs: LOGIN_PATIENCE_MS });
    if (login === undefined) throw new Error("the bench logs in with a password alone");
    return login.cert;
  }

  async userClient(): Promise<RpcClient> {
    await using anonymous = this.client();
    const keys = await generateKeyPair();
    return this.client({ certPem: await this.login(anonymous, await createCsr(keys)), keyPem: keys.keyPem });
  }

  async close(): Promise<void> {
    await this.admin.close();
    await this.#agent?.close();
  }

  async #join(): Promise<RpcClient & { hostId: string }> {
    const name = randomUUID();
    await this.admin.call("resource.create", {
      resource: { kind: "token", version: "v2", metadata: { name }, spec: { roles: ["App"] } },
    });
    const hostId = randomUUID();
    const dial = tcpDial(this.#file.auth_addr);
    const identity = await joinCluster({ dial, token: name, roles: ["App"], hostId, nodeName: "bench" });
    return Object.assign(this.client(identity), { hostId });
  }
}

export function appName(n: number): string {
  return `app-${n}`;
}

function serverOf(hostId: string, n: number): AppServer {
  const name = appName(n);
  const app = {
    kind: "app",
    version: "v3",
    metadata: { name, labels: { env: n % 2 ? "prod" : "dev" } },
    spec: { uri: "tcp://127.0.0.1:5432", public_addr: `${name}.bench.test` },
  } as const;
  return {
    kind: "app_server",
    version: "v3",
    metadata: { name: `${hostId}.${name}` },
    spec: { version: "1", hostname: "bench", host_id: hostId, app },
  };
}

function userOf(n: number): User {
  return { kind: "user", version: "v2", metadata: { name: `user-${n}` }, spec: { roles: ["access"] } };
}

export async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) await run(items[next++]!);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
}
