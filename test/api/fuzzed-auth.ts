import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { presetRoles } from "../../src/access/mod.ts";
import type { Resource, User } from "../../src/api/mod.ts";
import { openAuditLog } from "../../src/audit/mod.ts";
import { ADMIN_FILE, type AuthService, startAuth } from "../../src/auth/mod.ts";
import { createLogger, Lifetime, systemClock } from "../../src/base/mod.ts";
import { createCsr, generateKeyPair } from "../../src/pki/mod.ts";
import { API_ALPN, type ClientIdentity, fetchTrust, RpcClient, tcpDial } from "../../src/rpc/mod.ts";
import { openMemory } from "../../src/storage/mod.ts";
import { sampleResources } from "../../src/testkit/mod.ts";

export const CALLERS = ["none", "user", "editor", "admin", "agent", "proxy"] as const;
export type Caller = (typeof CALLERS)[number];

const CLUSTER = "fuzz.test";
const PASSWORD = "correct horse battery staple";
const USERS: readonly [name: string, role: string][] = [
  ["alice", "access"],
  ["ed", "editor"],
];
/** An answer that has not come by then is a failure: no call takes so long. */
const ANSWER_MS = 15_000;

function callerOf(role: string): Caller {
  return role === "editor" ? "editor" : "user";
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Auth on memory storage behind real TLS and HTTP/2, and bare connections to it as each kind of caller. */
export class FuzzedAuth implements AsyncDisposable {
  readonly #life = new Lifetime();
  readonly #identities = new Map<Caller, ClientIdentity | undefined>();
  readonly #sessions = new Map<Caller, ClientHttp2Session>();
  /** What Auth logged as its own bugs. */
  readonly bugs: string[] = [];
  readonly hostId = randomUUID();
  csr = "";
  #hostCas: readonly string[] = [];
  #service!: AuthService;
  #admin!: RpcClient;

  static async start(): Promise<FuzzedAuth> {
    const auth = new FuzzedAuth();
    await auth.#start();
    return auth;
  }

  get samples(): Resource[] {
    return Object.values(sampleResources({ host: this.hostId, user: "alice", cluster: CLUSTER }));
  }

  async #start(): Promise<void> {
    const dataDir = await mkdtemp(join(tmpdir(), "api-fuzz-"));
    this.#life.defer(() => rm(dataDir, { recursive: true, force: true }));
    const write = (line: string) => void this.bugs.push(line);
    const audit = this.#life.use(await openAuditLog({ dir: join(dataDir, "log"), clock: systemClock }));
    this.#service = await startAuth({
      config: { clusterName: CLUSTER, listenAddr: "127.0.0.1:0", secondFactors: [] },
      dataDir,
      backend: this.#life.use(openMemory({ clock: systemClock })),
      audit,
      clock: systemClock,
      log: createLogger({ level: "error", format: "json", write }),
    });
    this.#life.defer(() => this.#service.close());
    this.#hostCas = (await fetchTrust({ dial: tcpDial(this.#service.listenAddress) })).hostCas;
    const file = JSON.parse(await readFile(join(dataDir, ADMIN_FILE), "utf8")) as { cert: string; key: string };
    this.#identities.set("admin", { certPem: file.cert, keyPem: file.key });
    this.#admin = this.#rpc(this.#identities.get("admin"));
    for (const [name, role] of USERS) await this.#makeUser(name, role);
    this.#identities.set("agent", await this.#service.localIdentity("App", this.hostId));
    this.#identities.set("proxy", await this.#service.localIdentity("Proxy", this.hostId));
    this.csr = await createCsr(await generateKeyPair());
    this.#life.defer(() => this.#admin.close());
    this.#life.defer(() => {
      for (const session of this.#sessions.values()) session.destroy();
    });
  }

  async #makeUser(name: string, role: string): Promise<void> {
    await using anonymous = this.#rpc(undefined);
    const { token } = await this.#admin.call("user.invite", { name, roles: [role] });
    await anonymous.call("invite.accept", { token, password: PASSWORD });
    const keys = await generateKeyPair();
    const csr = await createCsr(keys);
    const { login } = await anonymous.call("login.password", { user: name, password: PASSWORD, csr });
    this.#identities.set(callerOf(role), { certPem: login!.cert, keyPem: keys.keyPem });
    this.#sessions.get(callerOf(role))?.destroy();
  }

  #rpc(identity: ClientIdentity | undefined): RpcClient {
    const trust = { hostCas: this.#hostCas };
    return new RpcClient({ dial: tcpDial(this.#service.listenAddress), trust, identity });
  }

  /** Puts back what requests may have taken away: the callers' own users and roles, and that nobody is locked. */
  async repair(): Promise<void> {
    const { resources: locks } = await this.#admin.call("resource.list", { kind: "lock" });
    for (const { metadata } of locks) await this.#admin.call("resource.delete", { kind: "lock", name: metadata.name });
    for (const resource of presetRoles()) await this.#admin.call("resource.upsert", { resource });
    for (const [name, role] of USERS) {
      const user: User = { kind: "user", version: "v2", metadata: { name }, spec: { roles: [role] } };
      await this.#admin.call("resource.upsert", { resource: user });
      // A login that was ended stays so: another one, of the same user made anew.
      const { status } = await this.send(callerOf(role), "POST", "/v1/cluster.status", Buffer.from("{}"));
      if (status !== 401) continue;
      await this.#admin.call("resource.delete", { kind: "user", name });
      await this.#makeUser(name, role);
    }
  }

  /** Sends octets as they are. A watch is left after its first line. */
  async send(caller: Caller, verb: string, path: string, body: Buffer): Promise<Answer> {
    const session = await this.#session(caller);
    const stream = session.request({ ":method": verb, ":path": path }, { endStream: false });
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const timer = setTimeout(() => reject(new Error(`no answer to ${path} within ${ANSWER_MS} ms`)), ANSWER_MS);
    let status = 0;
    let text = "";
    stream.on("response", (headers) => {
      status = Number(headers[":status"]);
    });
    stream.setEncoding("utf8");
    stream.on("data", (part: string) => {
      text += part;
      if (path === "/v1/resource.watch" && status === 200 && text.includes("\n")) {
        resolve({ status, text });
        stream.close(constants.NGHTTP2_CANCEL);
      }
    });
    stream.on("error", () => {});
    stream.on("close", () => resolve({ status, text }));
    stream.end(body);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async #session(caller: Caller): Promise<ClientHttp2Session> {
    const known = this.#sessions.get(caller);
    if (known !== undefined && !known.closed && !known.destroyed) return known;
    const identity = this.#identities.get(caller);
    const [, host = "", port = ""] = /^(.*):(\d+)$/.exec(this.#service.listenAddress) ?? [];
    const tls = connectTls({
      host,
      port: Number(port),
      ALPNProtocols: [API_ALPN],
      rejectUnauthorized: false,
      ...(identity && { cert: identity.certPem, key: identity.keyPem }),
    });
    await once(tls, "secureConnect");
    const session = connectHttp2("https://auth", { createConnection: () => tls });
    session.on("error", () => {});
    this.#sessions.set(caller, session);
    return session;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#life.close();
  }
}
