import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { App, AppServer, Kind, Resource, Role, VnetConfig } from "../api/mod.ts";
import { type AuditLog, openAuditLog } from "../audit/mod.ts";
import { type Clock, silentLogger, systemClock } from "../base/mod.ts";
import { createCsr, generateKeyPair } from "../pki/mod.ts";
import { type ClientIdentity, fetchTrust, RpcClient, tcpDial, type WatchEventOf } from "../rpc/mod.ts";
import { type Backend, openMemory } from "../storage/mod.ts";
import { ADMIN_FILE, type AuthConfig, type AuthService, startAuth } from "./mod.ts";

export const CLUSTER = "root.test";
export const PASSWORD = "correct horse battery staple";

export type Login = RpcClient & { readonly certPem: string; readonly identity: ClientIdentity };

/** Auth on memory storage behind real TLS, with clients of every kind. */
export class TestAuth {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly backend: Backend;
  readonly audit: AuditLog;
  service!: AuthService;
  hostCas: readonly string[] = [];
  readonly #clients: RpcClient[] = [];
  readonly #logins = new Map<string, Promise<Login>>();

  constructor(dataDir: string, audit: AuditLog, clock: Clock) {
    this.dataDir = dataDir;
    this.clock = clock;
    this.backend = openMemory({ clock });
    this.audit = audit;
  }

  /**
   * A virtual clock begins some days ago, so that what Auth issues as time moves
   * on is never from the future for OpenSSL, which has a clock of its own.
   */
  static async start(config: Partial<AuthConfig> = {}, clock: Clock = systemClock): Promise<TestAuth> {
    const dataDir = await mkdtemp(join(tmpdir(), "auth-"));
    const auth = new TestAuth(dataDir, await openAuditLog({ dir: join(dataDir, "log"), clock }), clock);
    await auth.restart(config);
    return auth;
  }

  async restart(config: Partial<AuthConfig> = {}): Promise<void> {
    await this.service?.close();
    this.service = await startAuth({
      config: { clusterName: CLUSTER, listenAddr: "127.0.0.1:0", secondFactors: [], ...config },
      dataDir: this.dataDir,
      backend: this.backend,
      audit: this.audit,
      clock: this.clock,
      log: silentLogger,
    });
    this.hostCas = (await fetchTrust({ dial: this.dial })).hostCas;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.close();
    await this.service.close();
    await this.audit[Symbol.asyncDispose]();
    await this.backend[Symbol.asyncDispose]();
    await rm(this.dataDir, { recursive: true });
  }

  get dial() {
    return tcpDial(this.service.listenAddress);
  }

  client(identity?: ClientIdentity): RpcClient {
    const client = new RpcClient({ dial: this.dial, trust: { hostCas: this.hostCas }, identity });
    this.#clients.push(client);
    return client;
  }

  async admin(): Promise<RpcClient> {
    const { cert, key } = JSON.parse(await readFile(join(this.dataDir, ADMIN_FILE), "utf8"));
    return this.client({ certPem: cert, keyPem: key });
  }

  async createUser(name: string, roles: string[]): Promise<void> {
    const { token } = await (await this.admin()).call("user.invite", { name, roles });
    await this.client().call("invite.accept", { token, password: PASSWORD });
  }

  /** The first step of a login: the certificate, or what else is asked for. */
  async passwordStep(user: string, password = PASSWORD) {
    const keys = await generateKeyPair();
    const csr = await createCsr(keys);
    return { ...(await this.client().call("login.password", { user, password, csr })), keyPem: keys.keyPem };
  }

  async loginWithOtp(user: string, otp_token: string, password = PASSWORD): Promise<Login> {
    const { mfa, keyPem } = await this.passwordStep(user, password);
    const challenge_id = mfa?.challenge_id ?? assert.fail("no second factor is asked for");
    const { cert } = await this.client().call("login.finish", { mfa: { challenge_id, otp_token } });
    const identity = { certPem: cert, keyPem };
    return Object.assign(this.client(identity), { certPem: cert, identity });
  }

  /** A proxy at `https://proxy.test`, whose pages passkeys are for. */
  async announceProxy(): Promise<void> {
    const proxy = await this.host("Proxy");
    const spec = {
      hostname: "p",
      version: "1",
      public_addrs: ["proxy.test:443"],
      tunnel_public_addr: "proxy.test:443",
    };
    await announce(proxy, { kind: "proxy", version: "v1", metadata: { name: proxy.hostId }, spec });
  }

  /** The user's one login of this test file: a password hash takes its time. */
  as(user: string): Promise<Login> {
    const login = this.#logins.get(user) ?? this.login(user);
    this.#logins.set(user, login);
    return login;
  }

  async login(user: string, password = PASSWORD, ttlSeconds?: number): Promise<Login> {
    const keys = await generateKeyPair();
    const { login } = await this.client().call("login.password", {
      user,
      password,
      csr: await createCsr(keys),
      ...(ttlSeconds !== undefined && { ttl_seconds: ttlSeconds }),
    });
    const certPem = login?.cert ?? assert.fail("a second factor is asked for");
    const identity = { certPem, keyPem: keys.keyPem };
    return Object.assign(this.client(identity), { certPem: identity.certPem, identity });
  }

  async host(role: "App" | "Proxy", hostId: string = randomUUID()): Promise<RpcClient & { hostId: string }> {
    return Object.assign(this.client(await this.service.localIdentity(role, hostId)), { hostId });
  }

  async events(...types: string[]) {
    return (await this.audit.search({ types })) as (Record<string, unknown> & { event: string; code: string })[];
  }
}

export async function newCsr(): Promise<string> {
  return createCsr(await generateKeyPair());
}

export function vnetConfig(suffix: string): VnetConfig {
  return {
    kind: "vnet_config",
    version: "v1",
    metadata: { name: "vnet-config" },
    spec: { custom_dns_zones: [{ suffix }] },
  };
}

export function role(name: string, labels: Record<string, string>): Role {
  return { kind: "role", version: "v7", metadata: { name }, spec: { allow: { app_labels: labels } } };
}

export function appServer(
  hostId: string,
  name: string,
  o: { labels?: Record<string, string>; addr?: string; uri?: string } = {},
): AppServer {
  const app: App = {
    kind: "app",
    version: "v3",
    metadata: { name, labels: o.labels ?? {} },
    spec: { uri: o.uri ?? "tcp://localhost:5432", public_addr: o.addr ?? `${name}.proxy.test` },
  };
  return {
    kind: "app_server",
    version: "v3",
    metadata: { name: `${hostId}.${name}` },
    spec: { version: "1", hostname: "h", host_id: hostId, app },
  };
}

export async function announce(host: RpcClient, resource: Resource): Promise<Resource> {
  return (await host.call("resource.upsert", { resource })).resource;
}

export async function take(events: AsyncIterator<WatchEventOf<Kind>>, count: number): Promise<string[]> {
  const taken: string[] = [];
  while (taken.length < count) {
    const { value } = await events.next();
    const event = value as WatchEventOf<Kind>;
    const name = event.type === "put" ? event.resource.metadata.name : event.type === "delete" ? event.name : "";
    taken.push(`${event.type} ${name}`.trim());
  }
  return taken;
}
