import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type TestContext, test } from "node:test";
import { randomUint32, seededRandom, systemClock } from "../base/mod.ts";
import { needs } from "../testkit/mod.ts";
import { openSqlite } from "./mod.ts";

const MODULE = join(import.meta.dirname, "mod.ts");
/** Enough that the write-ahead log is taken into the database (1,000 pages) while writes go on. */
const WRITES = 600;
const KEYS = 50;
const SYSCALLS = "pwrite64,write,fsync,fdatasync,ftruncate,unlink,pwritev,rename,sync_file_range,msync";

type Step =
  | { readonly type: "write"; readonly file: string; readonly offset: number; readonly octets: Buffer }
  | { readonly type: "truncate"; readonly file: string; readonly length: number }
  | { readonly type: "sync" | "unlink"; readonly file: string }
  | { readonly type: "acknowledge"; readonly write: number };

/** What the kernel was asked by a process that writes items one after the other and prints each key once it is stored. */
function recordedSteps(t: TestContext): Step[] {
  const dir = mkdtempSync(join(tmpdir(), "power-cut-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const code = `
    import { writeSync } from "node:fs";
    import { openSqlite } from ${JSON.stringify(MODULE)};
    const clock = { now: () => performance.now(), wallMs: () => Date.now(), after: () => ({ cancel() {} }) };
    const backend = openSqlite(${JSON.stringify(join(dir, "backend", "sqlite.db"))}, { clock });
    for (let i = 0; i < ${WRITES}; i++) {
      await backend.put("/" + (i % ${KEYS}), new Uint8Array(100 + i).fill(i));
      writeSync(1, i + "\\n");
    }
  `;
  const trace = ["-ff", "-y", "-xx", "-s", "1000000", "-o", join(dir, "trace"), "-e", `trace=${SYSCALLS}`];
  const node = [process.execPath, "--input-type=module", "-e", code];
  const { status, stderr } = spawnSync("strace", [...trace, ...node], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  const threads = readdirSync(dir).filter((name) => name.startsWith("trace."));
  const [main, ...others] = threads.map((name) => stepsOf(readFileSync(join(dir, name), "utf8"))).sort(byLength);
  assert.deepEqual(others.flat(), [], "storage is written by the main thread alone");
  return main!;
}

function byLength(a: readonly Step[], b: readonly Step[]): number {
  return b.length - a.length;
}

function stepsOf(trace: string): Step[] {
  return trace.split("\n").flatMap((line): Step[] => {
    const [, call = "", fd, hexPath = "", rest = ""] = /^(\w+)\((?:(\d+)<([^>]*)>)?(.*)/.exec(line) ?? [];
    if (call === "unlink") return [{ type: "unlink", file: basename(bytesOf(rest).toString()) }];
    const file = basename(bytesOf(hexPath).toString());
    if (call === "write" && fd === "1") return [{ type: "acknowledge", write: Number(bytesOf(rest)) }];
    if (!file.startsWith("sqlite.db") || /= -1 /.test(rest)) return [];
    const [octets = "", ...numbers] = rest.slice(2).replace(/\).*$/, "").split(", ");
    switch (call) {
      case "pwrite64":
        return [{ type: "write", file, octets: bytesOf(octets), offset: Number(numbers[1]) }];
      case "ftruncate":
        return [{ type: "truncate", file, length: Number(octets) }];
      case "fsync":
      case "fdatasync":
        return [{ type: "sync", file }];
      default:
        return assert.fail(`the model does not know ${line.slice(0, 80)}`);
    }
  });
}

/** Of strace's `"\x61\x62"`. */
function bytesOf(text: string): Buffer {
  return Buffer.from(text.match(/(?<=\\x)[0-9a-f]{2}/g)?.join("") ?? "", "hex");
}

/** A disk with a cache that loses power: what was synced is there; of the rest, any part. Names of files it keeps at once. */
class Disk {
  readonly #files = new Map<string, { synced: Buffer; cached: Step[] }>();

  take(step: Exclude<Step, { type: "acknowledge" }>): void {
    if (step.type === "unlink") return void this.#files.delete(step.file);
    const file = this.#files.get(step.file) ?? { synced: Buffer.alloc(0), cached: [] };
    this.#files.set(step.file, file);
    if (step.type !== "sync") return void file.cached.push(step);
    file.synced = file.cached.reduce(applied, file.synced);
    file.cached = [];
  }

  /** The files as the next start finds them. `keeps`: whether an unsynced write was on the disk already. */
  afterPowerCut(dir: string, keeps: () => boolean): string {
    mkdirSync(dir);
    for (const [name, { synced, cached }] of this.#files) {
      writeFileSync(join(dir, name), cached.filter(keeps).reduce(applied, synced));
    }
    return join(dir, "sqlite.db");
  }
}

function applied(content: Buffer, step: Step): Buffer {
  if (step.type === "truncate") return content.subarray(0, step.length);
  assert(step.type === "write");
  const { offset, octets } = step;
  const next = Buffer.alloc(Math.max(content.length, offset + octets.length));
  content.copy(next);
  octets.copy(next, offset);
  return next;
}

// The kernel keeps what a killed process wrote; only a model of the disk shows what a power cut would leave.
test("what was acknowledged survives a power cut that takes all that was not synced", needs("strace"), async (t) => {
  const steps = recordedSteps(t);
  const seed = Date.now() % 2 ** 32;
  t.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  const oneIn = (n: number) => randomUint32(random) % n === 0;
  const dir = mkdtempSync(join(tmpdir(), "power-cut-disks-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const disk = new Disk();
  let acknowledged = -1;
  let cuts = 0;
  for (const step of steps) {
    if (step.type === "acknowledge") acknowledged = step.write;
    else disk.take(step);
    if (acknowledged < 0 || !oneIn(20)) continue;
    const keeps = oneIn(2) ? () => false : () => oneIn(2);
    await assertAllThere(disk.afterPowerCut(join(dir, String(cuts++)), keeps), acknowledged);
  }
  assert.equal(acknowledged, WRITES - 1);
  assert.ok(cuts > WRITES / 20, "each write is several steps");
});

/** Each key holds its last acknowledged write, or the whole of the one that was under way. */
async function assertAllThere(path: string, acknowledged: number): Promise<void> {
  await using backend = openSqlite(path, { clock: systemClock });
  const found = new Map((await backend.range("/")).map(({ key, value }) => [key, value]));
  for (let write = Math.max(0, acknowledged - KEYS + 1); write <= acknowledged; write++) {
    const value = found.get(keyOf(write));
    const underWay = keyOf(write) === keyOf(acknowledged + 1) && value?.length === contentOf(acknowledged + 1).length;
    assert.deepEqual(value, contentOf(underWay ? acknowledged + 1 : write), `write ${write} of ${acknowledged}`);
  }
}

function keyOf(write: number): string {
  return `/${write % KEYS}`;
}

function contentOf(write: number): Uint8Array {
  return new Uint8Array(100 + write).fill(write);
}
