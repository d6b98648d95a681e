import { type FileHandle, mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { type AuditEvent, BadInputError } from "../api/mod.ts";
import { assert, type Clock, type Logger, messageOf } from "../base/mod.ts";
import { auditEvent } from "./event.ts";
import { dropTornLine } from "./files.ts";
import { MAX_SPOOL_BYTES, SPOOL_BACKOFF_MS, SPOOL_BATCH, SPOOL_COMPACT_BYTES } from "./limits.ts";
import { parseEvent, syncDirectory } from "./log.ts";

export interface SpoolOptions {
  /** The file (0600); its directory is created. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Whose events: for the one that reports drops. */
  readonly about: { readonly cluster_name: string; readonly server_id: string };
  readonly maxBytes?: number;
}

interface Entry {
  readonly event: AuditEvent;
  readonly line: string;
  /** Octets of `line`. */
  readonly size: number;
}

function entryOf(event: AuditEvent): Entry {
  const line = `${JSON.stringify(event)}\n`;
  return { event, line, size: Buffer.byteLength(line) };
}

/** Opens the spool with the events that an earlier process could not deliver. */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  await mkdir(dirname(options.path), { recursive: true, mode: 0o700 });
  const left = await readFile(options.path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const handle = await open(options.path, "a+", 0o600);
  await dropTornLine(handle);
  await syncDirectory(dirname(options.path));
  return new Spool(options, handle, left);
}

/**
 * Events of an agent on their way to Auth. `put` never waits, so the data path
 * never does; the file follows at once and survives the process; `drain`
 * delivers, at least once, in order. An event's uid tells repetitions.
 */
export class Spool implements AsyncDisposable {
  readonly #options: SpoolOptions;
  readonly #maxBytes: number;
  #handle: FileHandle;
  #queue: Entry[] = [];
  /** Octets of `#queue`. */
  #queued = 0;
  /** Octets of the file, what was delivered included. */
  #written = 0;
  #toWrite: string[] = [];
  #writing: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #draining = false;
  #unreported = 0;
  #dropped = 0;

  constructor(options: SpoolOptions, handle: FileHandle, left: string) {
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? MAX_SPOOL_BYTES;
    this.#handle = handle;
    this.#written = Buffer.byteLength(left);
    for (const text of left.split("\n")) {
      const event = text === "" ? undefined : parseEvent(text);
      if (event !== undefined) this.#enqueue(entryOf(event));
    }
  }

  /** Events not yet delivered. */
  get pending(): number {
    return this.#queue.length;
  }

  /** Events lost because the spool was full, since the process began. */
  get dropped(): number {
    return this.#dropped;
  }

  put(event: AuditEvent): void {
    if (this.#unreported > 0 && this.#queued < this.#maxBytes / 2) this.#reportDrops();
    const entry = entryOf(event);
    if (this.#queued + entry.size > this.#maxBytes) this.#drop();
    else this.#add(entry);
  }

  /**
   * Delivers until `signal` is aborted; `send` resolves when Auth has the
   * events. A batch that Auth refuses as malformed is tried one by one, and
   * what stays refused is logged and given up, so that it blocks nothing.
   */
  async drain(send: (events: AuditEvent[]) => Promise<void>, signal: AbortSignal): Promise<void> {
    assert(!this.#draining, "a spool has one drain");
    this.#draining = true;
    let backoffMs: number = SPOOL_BACKOFF_MS.first;
    let single = 0; // this many go out one by one
    try {
      while (!signal.aborted) {
        if (this.#queue.length === 0) {
          if (this.#unreported > 0) this.#reportDrops();
          else await this.#nextEvent(signal);
          continue;
        }
        const batch = this.#queue.slice(0, single > 0 ? 1 : SPOOL_BATCH);
        try {
          await send(batch.map(({ event }) => event));
        } catch (error) {
          if (!(error instanceof BadInputError)) {
            this.#options.log.debug(
              { error: messageOf(error), pending: this.pending },
              "audit events not delivered yet",
            );
            await this.#pause(backoffMs, signal);
            backoffMs = Math.min(backoffMs * 2, SPOOL_BACKOFF_MS.last);
            continue;
          }
          if (batch.length > 1) {
            single = batch.length;
            continue;
          }
          this.#options.log.error({ error: error.message, event: batch[0]?.event }, "audit event refused by Auth");
        }
        backoffMs = SPOOL_BACKOFF_MS.first;
        single = Math.max(0, single - batch.length);
        this.#delivered(batch.length);
      }
    } finally {
      this.#draining = false;
    }
  }

  /** Resolves when all that was put so far is in the file, or known to fail there. */
  async flushed(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flushed();
    await this.#handle.close();
  }

  #add(entry: Entry): void {
    this.#enqueue(entry);
    this.#toWrite.push(entry.line);
    this.#writing ??= this.#writeAll();
    this.#wake?.();
  }

  #enqueue(entry: Entry): void {
    this.#queue.push(entry);
    this.#queued += entry.size;
  }

  #drop(): void {
    if (this.#unreported === 0) {
      this.#options.log.warn(
        { limit: this.#maxBytes },
        "the audit spool is full: events are dropped until Auth answers",
      );
    }
    this.#unreported += 1;
    this.#dropped += 1;
  }

  /** The loss itself is an event, as soon as there is room for one. */
  #reportDrops(): void {
    const fields = { ...this.#options.about, count: this.#unreported, success: false };
    this.#unreported = 0;
    this.#add(entryOf(auditEvent("audit.dropped", fields, this.#options.clock)));
  }

  #delivered(count: number): void {
    for (const { size } of this.#queue.splice(0, count)) this.#queued -= size;
    if (this.#queue.length === 0 || this.#written > this.#queued + SPOOL_COMPACT_BYTES) {
      this.#writing ??= this.#writeAll();
    }
  }

  async #writeAll(): Promise<void> {
    await Promise.resolve();
    try {
      do {
        const text = this.#toWrite.splice(0).join("");
        if (text !== "") {
          await this.#handle.appendFile(text);
          this.#written += Buffer.byteLength(text);
        }
        await this.#compact();
        if (text !== "") await this.#handle.datasync();
      } while (this.#toWrite.length > 0);
    } catch (error) {
      // The events stay in memory and are still delivered; only a restart would lose them.
      this.#options.log.error({ error: messageOf(error), path: this.#options.path }, "writing the audit spool failed");
      this.#toWrite = [];
    }
    this.#writing = undefined;
  }

  /** Empties the file when all is delivered; rewrites it when most is. */
  async #compact(): Promise<void> {
    if (this.#toWrite.length > 0 || this.#written === 0) return;
    if (this.#queue.length === 0) {
      await this.#handle.truncate(0);
      this.#written = 0;
      return;
    }
    if (this.#written <= this.#queued + SPOOL_COMPACT_BYTES) return;
    const { path } = this.#options;
    const next = await open(`${path}.new`, "w", 0o600);
    const text = this.#queue.map(({ line }) => line).join("");
    this.#toWrite = []; // all of them are in the queue
    await next.appendFile(text);
    await next.datasync();
    await next.close();
    await rename(`${path}.new`, path);
    await syncDirectory(dirname(path));
    await this.#handle.close();
    this.#handle = await open(path, "a", 0o600);
    this.#written = Buffer.byteLength(text);
  }

  #nextEvent(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal.removeEventListener("abort", wake);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = wake;
      signal.addEventListener("abort", wake);
    });
  }

  #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener("abort", done);
        timer.cancel();
        resolve();
      };
      const timer = this.#options.clock.after(delayMs, done);
      signal.addEventListener("abort", done);
    });
  }
}
