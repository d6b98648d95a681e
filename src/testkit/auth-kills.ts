import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NotFoundError, type Role } from "../api/mod.ts";
import { ADMIN_FILE } from "../auth/mod.ts";
import { type Random, seededRandom, sleep } from "../base/mod.ts";
import { RpcClient, tcpDial } from "../rpc/mod.ts";
import { BackgroundProcess } from "./process.ts";

const WRITERS = 16;
/** Auth is killed so long after its writers began, at most. */
const MAX_LIFE_MS = 400;

export interface AuthKills {
  readonly kills: number;
  /** Writes that were acknowledged, every one of them found again. */
  readonly acknowledged: number;
  /** Writes that were under way at a kill, and how many of them had been done whole. */
  readonly unanswered: number;
  readonly done: number;
  /** Records of the audit log, whose chain verified after every kill. */
  readonly records: number;
}

/**
 * Kills a real `teleport` with SIGKILL at random moments while 16 writers
 * create, update, replace and delete resources, and looks after each start:
 * everything that was acknowledged is there, what was not is there whole or not
 * at all, every acknowledged write has its audit event, and the chain verifies.
 * Throws at the first thing that is not so.
 */
export async function killAuth(o: { kills: number; seed: number }): Promise<AuthKills> {
  const random = seededRandom(o.seed);
  const dir = await mkdtemp(join(tmpdir(), "kills-"));
  try {
    const writers = Array.from({ length: WRITERS }, (_, i) => new Writer(`w${i}`));
    let records = 0;
    for (let kill = 0; kill <= o.kills; kill++) {
      const auth = await startAuthProcess(dir);
      try {
        await using rpc = await connect(dir);
        for (const writer of writers) await writer.check(rpc);
        records = await checkAudit(rpc, writers);
        if (kill === o.kills) break;
        const writing = writers.map((writer) => writer.write(rpc, random));
        await sleep(Math.floor((MAX_LIFE_MS * random(1)[0]!) / 255));
        auth.signal("SIGKILL");
        await auth.exited;
        await rpc.close();
        await Promise.all(writing);
      } finally {
        await auth.stop("SIGKILL");
      }
    }
    const sum = (count: (writer: Writer) => number) => writers.reduce((all, writer) => all + count(writer), 0);
    return {
      kills: o.kills,
      acknowledged: sum((writer) => writer.acknowledged),
      unanswered: sum((writer) => writer.unanswered),
      done: sum((writer) => writer.done),
      records,
    };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** One resource, written by one after the other: what it must be is known but for the last write. */
class Writer {
  acknowledged = 0;
  unanswered = 0;
  done = 0;
  /** Acknowledged writes since the last look at the audit log. */
  readonly recent: string[] = [];
  readonly name: string;
  #number = 0;
  #present: Role | undefined;
  #revision: string | undefined;
  /** What it would be if the unanswered write was done. */
  #attempt: { role: Role | undefined } | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** Until the connection breaks. */
  async write(rpc: RpcClient, random: Random): Promise<void> {
    for (;;) {
      const next = this.#present !== undefined && random(1)[0]! < 40 ? undefined : this.#role(++this.#number);
      this.#attempt = { role: next };
      this.unanswered++;
      try {
        await this.#writeOnce(rpc, next, random);
      } catch (error) {
        assert.ok(!(error instanceof assert.AssertionError), String(error));
        return;
      }
      this.unanswered--;
      this.acknowledged++;
      this.#present = next;
      this.#attempt = undefined;
    }
  }

  /** Compares with what Auth has now. */
  async check(rpc: RpcClient): Promise<void> {
    const stored = await rpc.call("resource.get", { kind: "role", name: this.name }).catch((error: unknown) => {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    });
    const found = stored && withoutRevision(stored.resource as Role);
    const expected = [JSON.stringify(this.#present), ...(this.#attempt ? [JSON.stringify(this.#attempt.role)] : [])];
    assert.ok(expected.includes(JSON.stringify(found)), `${this.name} is ${JSON.stringify(found)}, not ${expected}`);
    if (this.#attempt !== undefined && JSON.stringify(found) !== expected[0]) this.done++;
    this.#present = found;
    this.#revision = stored?.resource.metadata.revision;
    this.#attempt = undefined;
  }

  async #writeOnce(rpc: RpcClient, next: Role | undefined, random: Random): Promise<void> {
    const { name } = this;
    if (next === undefined) {
      await rpc.call("resource.delete", { kind: "role", name });
      this.recent.push("role.deleted");
      return;
    }
    const creates = this.#present === undefined;
    const answer = creates
      ? await rpc.call("resource.create", { resource: next })
      : random(1)[0]! < 128
        ? await rpc.call("resource.update", { resource: withRevision(next, this.#revision) })
        : await rpc.call("resource.upsert", { resource: next });
    this.#revision = answer.resource.metadata.revision;
    this.recent.push(creates ? "role.created" : "role.updated");
  }

  /** Every part of it follows from the number: a mixture of two is neither. */
  #role(number: number): Role {
    const labels = Object.fromEntries(Array.from({ length: 1 + (number % 50) }, (_, i) => [`k${i}`, `${number}`]));
    return {
      kind: "role",
      version: "v7",
      metadata: { name: this.name, description: `number ${number}` },
      spec: { allow: { app_labels: labels } },
    };
  }
}

async function checkAudit(rpc: RpcClient, writers: readonly Writer[]): Promise<number> {
  const { problems, records } = await rpc.call("audit.verify", {});
  assert.deepEqual(problems, []);
  const types = ["role.created", "role.updated", "role.deleted"];
  const { events } = await rpc.call("audit.search", { types });
  for (const { name, recent } of writers) {
    const mine = events.filter((event) => "name" in event && event.name === name && event.success);
    // The latest of them; one more may have come of the write that was not answered.
    const tail = mine.map(({ event }) => event).slice(-recent.length - 1);
    const exact =
      recent.length === 0 ||
      [tail.slice(-recent.length), tail.slice(0, recent.length)].some((part) => part.join() === recent.join());
    assert.ok(exact, `${name}: the audit log has ${tail}, and acknowledged was ${recent}`);
    recent.splice(0);
  }
  return records;
}

async function startAuthProcess(dir: string): Promise<BackgroundProcess> {
  const config = join(dir, "teleport.yaml");
  await writeFile(
    config,
    `version: v3
teleport: { nodename: auth.test, data_dir: ${join(dir, "data")} }
auth_service: { enabled: yes, cluster_name: kills.test, listen_addr: "127.0.0.1:0", authentication: { second_factors: [] } }
proxy_service: { enabled: no }
ssh_service: { enabled: no }
`,
  );
  const program = join(import.meta.dirname, "../cmd/teleport.ts");
  const flags = ["--disable-warning=ExperimentalWarning", program, "start", "-c", config];
  const auth = new BackgroundProcess("teleport", [process.execPath, ...flags]);
  await auth.waitFor(/services are ready/);
  return auth;
}

async function connect(dir: string): Promise<RpcClient> {
  const admin = JSON.parse(await readFile(join(dir, "data", ADMIN_FILE), "utf8"));
  return new RpcClient({
    dial: tcpDial(admin.auth_addr),
    trust: { hostCas: admin.host_cas },
    identity: { certPem: admin.cert, keyPem: admin.key },
  });
}

function withRevision(role: Role, revision: string | undefined): Role {
  return { ...role, metadata: { ...role.metadata, ...(revision !== undefined && { revision }) } };
}

function withoutRevision({ metadata, ...rest }: Role): Role {
  const { revision: _, ...kept } = metadata;
  return { kind: rest.kind, version: rest.version, metadata: kept, spec: rest.spec };
}
