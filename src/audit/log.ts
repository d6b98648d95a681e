import { type FileHandle, mkdir, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type AuditEvent, auditEventSchema, check } from "../api/mod.ts";
import { type Clock, messageOf } from "../base/mod.ts";
import { AuditFailedError } from "./errors.ts";
import { MAX_FOUND, MAX_PENDING_EVENTS, MAX_RECENT_UIDS } from "./limits.ts";

export interface AuditQuery {
  /** Wall-clock milliseconds, both inclusive. */
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly types?: readonly string[];
  /** The latest ones are kept; at most `MAX_FOUND`. */
  readonly limit?: number;
}

interface Pending {
  readonly line: string;
  readonly uid: string;
  resolve(): void;
  reject(error: Error): void;
}

const DAY_MS = 86_400_000;

/** Creates the directory (0700). Files are `YYYY-MM-DD.log` (UTC, 0600), one JSON event a line, never deleted. */
export async function openAuditLog(options: { dir: string; clock: Clock }): Promise<AuditLog> {
  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  return new AuditLog(options.dir, options.clock);
}

/** An event is filed under the day it was received; its own time may be earlier, if it waited in a spool. */
export class AuditLog implements AsyncDisposable {
  readonly #dir: string;
  readonly #clock: Clock;
  readonly #recent = new Map<string, Promise<void>>();
  #pending: Pending[] = [];
  #writing: Promise<void> | undefined;
  #file: { day: string; handle: FileHandle } | undefined;

  constructor(dir: string, clock: Clock) {
    this.#dir = dir;
    this.#clock = clock;
  }

  /**
   * Resolves when the event is on the disk. What arrives while the disk works
   * shares the next sync. A uid that was appended lately is not written again.
   */
  append(event: AuditEvent): Promise<void> {
    const known = this.#recent.get(event.uid);
    if (known !== undefined) return known;
    if (this.#pending.length >= MAX_PENDING_EVENTS) {
      return Promise.reject(new AuditFailedError("the audit log's disk is too slow: too many events are waiting"));
    }
    const done = new Promise<void>((resolve, reject) => {
      this.#pending.push({ line: `${JSON.stringify(event)}\n`, uid: event.uid, resolve, reject });
    });
    this.#remember(event.uid, done);
    this.#writing ??= this.#writeAll();
    return done;
  }

  /** In order of their time. Lines that are no events (torn by a crash) are passed over. */
  async search(query: AuditQuery = {}): Promise<AuditEvent[]> {
    const limit = Math.min(query.limit ?? MAX_FOUND, MAX_FOUND);
    const found = new Map<string, AuditEvent>();
    for (const name of await this.#filesSince(query.fromMs)) {
      await using handle = await open(join(this.#dir, name), "r");
      for await (const line of handle.readLines({ autoClose: false })) {
        const event = parseEvent(line);
        if (event === undefined || !matches(event, query)) continue;
        found.set(event.uid, event);
        if (found.size > limit) found.delete(found.keys().next().value ?? "");
      }
    }
    return [...found.values()].sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
  }

  /** Writes what is pending, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    await this.#file?.handle.close();
    this.#file = undefined;
  }

  async #writeAll(): Promise<void> {
    await Promise.resolve(); // let the caller's other events of this turn join
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      try {
        const handle = await this.#today();
        await handle.appendFile(batch.map((event) => event.line).join(""));
        await handle.datasync();
        for (const event of batch) event.resolve();
      } catch (error) {
        await this.#fail(batch, error);
      }
    }
    this.#writing = undefined;
  }

  async #fail(batch: readonly Pending[], cause: unknown): Promise<void> {
    // Reopening ends a line that was written in part.
    await this.#file?.handle.close().catch(() => {});
    this.#file = undefined;
    const failure = new AuditFailedError(`writing the audit log in ${this.#dir}: ${messageOf(cause)}`, { cause });
    for (const event of batch) {
      this.#recent.delete(event.uid);
      event.reject(failure);
    }
  }

  async #today(): Promise<FileHandle> {
    const day = dayOf(this.#clock.wallMs());
    if (this.#file?.day === day) return this.#file.handle;
    await this.#file?.handle.close();
    this.#file = undefined;
    const handle = await open(join(this.#dir, `${day}.log`), "a+", 0o600);
    this.#file = { day, handle };
    await endTornLine(handle);
    await syncDirectory(this.#dir);
    return handle;
  }

  #remember(uid: string, done: Promise<void>): void {
    this.#recent.set(uid, done);
    if (this.#recent.size > MAX_RECENT_UIDS) this.#recent.delete(this.#recent.keys().next().value ?? "");
  }

  /** A day earlier than asked for: an agent's clock may be ahead of ours. */
  async #filesSince(fromMs: number | undefined): Promise<string[]> {
    const names = (await readdir(this.#dir)).filter((name) => /^\d{4}-\d\d-\d\d\.log$/.test(name)).sort();
    const first = fromMs === undefined ? "" : dayOf(fromMs - DAY_MS);
    return names.filter((name) => name >= first);
  }
}

function dayOf(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(0, 10);
}

function matches(event: AuditEvent, query: AuditQuery): boolean {
  const atMs = Date.parse(event.time);
  if (query.fromMs !== undefined && atMs < query.fromMs) return false;
  if (query.toMs !== undefined && atMs > query.toMs) return false;
  return query.types === undefined || query.types.length === 0 || query.types.includes(event.event);
}

/** `undefined` for a line that is no event. */
export function parseEvent(line: string): AuditEvent | undefined {
  try {
    const checked = check<AuditEvent>(auditEventSchema, JSON.parse(line));
    return "value" in checked ? checked.value : undefined;
  } catch {
    return undefined;
  }
}

/** A crash may have left half a line; what follows must not be glued to it. */
export async function endTornLine(handle: FileHandle): Promise<void> {
  const { size } = await handle.stat();
  if (size === 0) return;
  const last = new Uint8Array(1);
  await handle.read(last, 0, 1, size - 1);
  if (last[0] !== 0x0a) await handle.appendFile("\n");
}

/** A new file's name is durable only when its directory is. */
export async function syncDirectory(dir: string): Promise<void> {
  await using handle = await open(dir, "r");
  await handle.sync();
}
