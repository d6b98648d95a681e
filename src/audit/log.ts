import { type FileHandle, mkdir, open, rename, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type AuditEvent, auditEventSchema, check } from "../api/mod.ts";
import { type Clock, fileFault, messageOf, type Timer } from "../base/mod.ts";
import { type Checkpoint, chained, checkpointLine, GENESIS, type Head, type Notary, readLine } from "./chain.ts";
import { AuditFailedError } from "./errors.ts";
import { dropTornLine, hashAt, lastLines, logFiles, REMOVED_FILE, readTail } from "./files.ts";
import { CHECKPOINT_MS, MAX_FOUND, MAX_PENDING_EVENTS, MAX_RECENT_UIDS, MIN_FREE_BYTES } from "./limits.ts";
import { type VerifyReport, verifyLog } from "./verify.ts";

export interface AuditQuery {
  /** Wall-clock milliseconds, both inclusive. */
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly types?: readonly string[];
  readonly user?: string;
  /** The latest ones are kept; at most `MAX_FOUND`. */
  readonly limit?: number;
}

interface Pending {
  /** The event's JSON; a checkpoint's place in the order where absent. */
  readonly event?: string;
  readonly uid: string;
  resolve(): void;
  reject(error: Error): void;
}

const DAY_MS = 86_400_000;

export interface AuditLogOptions {
  readonly dir: string;
  readonly clock: Clock;
  /** Files whose day ended so long ago are removed. Absent: none is. */
  readonly retentionMs?: number | undefined;
  /** Octets free on the log's disk; for tests. */
  freeBytes?(): Promise<number>;
  /** Opens the file of a day; for tests. */
  openFile?(path: string): Promise<FileHandle>;
}

/**
 * Creates the directory (0700) and touches nothing else until the first write.
 * Files are `YYYY-MM-DD.log` (UTC, 0600), one JSON event a line, each chained
 * to the one before by its hash, over all files.
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  await mkdir(options.dir, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw new AuditFailedError(`the audit log's directory ${options.dir} cannot be used: ${fileFault(cause)}`, {
      cause,
    });
  });
  return new AuditLog(options);
}

/** An event is filed under the day it was received; its own time may be earlier, if it waited in a spool. */
export class AuditLog implements AsyncDisposable {
  readonly #options: AuditLogOptions;
  readonly #dir: string;
  readonly #clock: Clock;
  readonly #recent = new Map<string, Promise<void>>();
  #pending: Pending[] = [];
  #writing: Promise<void> | undefined;
  #file: { day: string; handle: FileHandle } | undefined;
  /** Where the chain ends; unknown until the first write, and after a failed one. */
  #head: Head | undefined;
  /** The file that `#head` is in, if it was found there and does not end with a checkpoint. */
  #unsealed: string | undefined;
  /** Where the chain must go on at least, although the disk says otherwise. */
  #floor: Head | undefined;
  #notary: Notary | undefined;
  #checkpointTimer: Timer | undefined;
  #failed = false;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    this.#dir = options.dir;
    this.#clock = options.clock;
  }

  /**
   * From now on Auth signs for the head: every minute, at each file's end, and
   * at `release`. If the log is not the one whose head was saved, the chain
   * goes on from the saved head, so that every later verification finds the gap.
   */
  async guard(notary: Notary): Promise<{ intact: boolean }> {
    const tail = await readTail(this.#dir);
    const saved = await notary.savedHead();
    const intact = saved === undefined || saved.seq === 0 || (await hashAt(this.#dir, saved.seq)) === saved.hash;
    this.#notary = notary;
    this.#floor = intact ? undefined : { seq: Math.max(saved.seq, tail.head.seq), hash: saved.hash };
    this.#head = this.#floor ?? tail.head;
    this.#unsealed = tail.sealed ? undefined : tail.file;
    await this.#checkpoint();
    this.#scheduleCheckpoint();
    return { intact };
  }

  /** A last checkpoint; the notary is not used afterwards. */
  async release(): Promise<void> {
    this.#checkpointTimer?.cancel();
    this.#checkpointTimer = undefined;
    await this.#checkpoint().catch(() => {}); // The next start makes up for it.
    this.#notary = undefined;
  }

  /** Follows the whole chain, up to what this process wrote last. */
  async verify(notary: Notary): Promise<VerifyReport> {
    while (this.#writing !== undefined) await this.#writing;
    const heads = [await notary.savedHead(), this.#head].filter((head) => head !== undefined);
    return verifyLog({ dir: this.#dir, notary, heads });
  }

  /**
   * Throws `AuditFailedError` where an event could not be written now: asked
   * before an action that must leave one, since afterwards it is too late.
   */
  async demandRoom(): Promise<void> {
    const free = await (this.#options.freeBytes?.() ?? freeBytes(this.#dir));
    if (free < MIN_FREE_BYTES) {
      throw new AuditFailedError(`the audit log's disk is full (${this.#dir}): what must be audited is refused`);
    }
    if (this.#failed) await this.#probe();
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
      this.#pending.push({ event: JSON.stringify(event), uid: event.uid, resolve, reject });
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
        await this.#write(batch);
        this.#failed = false;
        for (const event of batch) event.resolve();
      } catch (error) {
        await this.#fail(batch, error);
      }
    }
    this.#writing = undefined;
  }

  async #write(batch: readonly Pending[]): Promise<void> {
    const handle = await this.#today();
    const { size } = await handle.stat();
    let head = this.#head ?? GENESIS;
    const lines: string[] = [];
    for (const { event } of batch) {
      if (event === undefined) continue;
      const next = chained(event, head);
      lines.push(next.line);
      head = next.head;
    }
    const signed = batch.some(({ event }) => event === undefined) ? this.#signed(head) : undefined;
    if (signed !== undefined) lines.push(signed);
    if (lines.length === 0) return;
    try {
      await handle.appendFile(`${lines.join("\n")}\n`);
      await handle.datasync();
    } catch (error) {
      // What was refused must not be found there later.
      await handle.truncate(size).catch(() => {});
      throw error;
    }
    this.#head = head;
    this.#unsealed = signed === undefined ? `${this.#file?.day}.log` : undefined;
    // The record is on the disk in any case; the next checkpoint saves the head again.
    if (signed !== undefined) await this.#notary?.saveHead(head).catch(() => {});
  }

  #signed({ seq, hash }: Head): string | undefined {
    if (this.#notary === undefined) return undefined;
    const checkpoint: Checkpoint = { seq, hash, time: new Date(this.#clock.wallMs()).toISOString() };
    return checkpointLine(checkpoint, this.#notary);
  }

  /** Behind everything that was appended so far. Nothing to do where nothing was written since the last one. */
  #checkpoint(): Promise<void> {
    const idle = this.#unsealed === undefined && this.#pending.length === 0 && this.#writing === undefined;
    if (this.#notary === undefined || idle) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#pending.push({ uid: "", resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  #scheduleCheckpoint(): void {
    this.#checkpointTimer = this.#clock.after(CHECKPOINT_MS, () => {
      this.#scheduleCheckpoint();
      this.#checkpoint().catch(() => {}); // A failing disk is told by every append.
    });
  }

  async #fail(batch: readonly Pending[], cause: unknown): Promise<void> {
    this.#failed = true;
    // What is really there is read again at the next write.
    await this.#file?.handle.close().catch(() => {});
    this.#file = undefined;
    this.#head = undefined;
    const failure = new AuditFailedError(`writing the audit log in ${this.#dir}: ${messageOf(cause)}`, { cause });
    for (const event of batch) {
      this.#recent.delete(event.uid);
      event.reject(failure);
    }
  }

  /** Whether the disk takes anything again, after it did not. */
  async #probe(): Promise<void> {
    const path = join(this.#dir, "probe");
    try {
      await using handle = await open(path, "w", 0o600);
      await handle.appendFile(new Uint8Array(64 * 1024));
      await handle.sync();
    } catch (cause) {
      throw new AuditFailedError(`the audit log's disk takes nothing (${messageOf(cause)})`, { cause });
    } finally {
      await rm(path, { force: true });
    }
    this.#failed = false;
  }

  async #today(): Promise<FileHandle> {
    const day = dayOf(this.#clock.wallMs());
    if (this.#file?.day === day) return this.#file.handle;
    await this.#file?.handle.close();
    this.#file = undefined;
    if (this.#head === undefined) {
      const tail = await readTail(this.#dir);
      this.#head = this.#floor !== undefined && this.#floor.seq >= tail.head.seq ? this.#floor : tail.head;
      this.#unsealed = tail.sealed ? undefined : tail.file;
    }
    await this.#sealBefore(`${day}.log`);
    const path = join(this.#dir, `${day}.log`);
    const handle = await (this.#options.openFile?.(path) ?? open(path, "a+", 0o600));
    this.#file = { day, handle };
    await dropTornLine(handle);
    await syncDirectory(this.#dir);
    await this.#removeOld();
    return handle;
  }

  /** A file's last line is a checkpoint, as soon as there is another file. */
  async #sealBefore(next: string): Promise<void> {
    const name = this.#unsealed;
    if (name === undefined || name >= next || this.#head === undefined) return;
    const signed = this.#signed(this.#head);
    if (signed === undefined) return;
    await using handle = await open(join(this.#dir, name), "a+", 0o600);
    await dropTornLine(handle);
    await handle.appendFile(`${signed}\n`);
    await handle.datasync();
    this.#unsealed = undefined;
  }

  /** Whole files only, each with its last checkpoint kept: there the chain that is left begins. */
  async #removeOld(): Promise<void> {
    const { retentionMs } = this.#options;
    if (retentionMs === undefined || this.#notary === undefined) return;
    const first = dayOf(this.#clock.wallMs() - retentionMs);
    for (const name of await logFiles(this.#dir)) {
      if (name >= `${first}.log`) return;
      const last = await lastCheckpoint(join(this.#dir, name));
      if (last === undefined) return; // Not signed for: it stays, and so does all behind it.
      const kept = join(this.#dir, REMOVED_FILE);
      await writeFile(`${kept}.new`, `${last}\n`, { mode: 0o600, flush: true });
      await rename(`${kept}.new`, kept);
      await rm(join(this.#dir, name));
      await syncDirectory(this.#dir);
    }
  }

  #remember(uid: string, done: Promise<void>): void {
    this.#recent.set(uid, done);
    if (this.#recent.size > MAX_RECENT_UIDS) this.#recent.delete(this.#recent.keys().next().value ?? "");
  }

  /** A day earlier than asked for: an agent's clock may be ahead of ours. */
  async #filesSince(fromMs: number | undefined): Promise<string[]> {
    const names = await logFiles(this.#dir);
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
  if (query.user !== undefined && event.user !== query.user) return false;
  return query.types === undefined || query.types.length === 0 || query.types.includes(event.event);
}

/** `undefined` for a line that is no event. */
export function parseEvent(line: string): AuditEvent | undefined {
  try {
    const read = readLine(line);
    const checked = check<AuditEvent>(auditEventSchema, JSON.parse(read.kind === "record" ? read.event : line));
    return "value" in checked ? checked.value : undefined;
  } catch {
    return undefined;
  }
}

async function freeBytes(dir: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(dir);
    return bavail * bsize;
  } catch (cause) {
    throw new AuditFailedError(`the audit log's directory ${dir} is not there: ${messageOf(cause)}`, { cause });
  }
}

async function lastCheckpoint(path: string): Promise<string | undefined> {
  await using handle = await open(path, "r");
  const last = (await lastLines(handle)).at(-1);
  return last !== undefined && readLine(last).kind === "checkpoint" ? last : undefined;
}

/** A new file's name is durable only when its directory is. */
export async function syncDirectory(dir: string): Promise<void> {
  await using handle = await open(dir, "r");
  await handle.sync();
}
