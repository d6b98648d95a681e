import { randomUUID } from "node:crypto";
import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Clock, fileFault, messageOf, OperationError } from "../base/mod.ts";
import { type Backend, type Change, checkKey, checkWrite, type Item, KEY_END, type WriteOptions } from "./backend.ts";
import {
  KeyExistsError,
  KeyNotFoundError,
  StaleRevisionError,
  StorageClosedError,
  StorageFailedError,
  StorageFormatError,
  StorageInUseError,
} from "./errors.ts";
import { ExpiryTimer } from "./expiry.ts";
import { MAX_BATCH, MAX_EXPIRED_PER_PASS } from "./limits.ts";
import { Watchers } from "./watchers.ts";

/** Version of the tables below. A change of theirs raises it and brings a migration. */
const FORMAT = 1;

/**
 * One file, one process (the lock is exclusive, and lapses with the process).
 * `synchronous=FULL` on a write-ahead log: a commit is on the disk before the
 * write resolves, so neither kill -9 nor a power cut takes it back.
 * Creates the file (0600) and its directory (0700).
 */
export function openSqlite(path: string, options: { clock: Clock; maxWatchQueue?: number }): Backend {
  makeFile(path);
  const db = openDatabase(path);
  return new SqliteBackend(db, options.clock, options.maxWatchQueue);
}

function makeFile(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600); // SQLite gives the -wal file the same mode
  } catch (cause) {
    throw new StorageFailedError(`opening ${path}: ${fileFault(cause)}`, { cause });
  }
}

function openDatabase(path: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: 0 });
    db.exec("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
    db.exec("BEGIN IMMEDIATE");
    db.exec("CREATE TABLE IF NOT EXISTS format (version INTEGER NOT NULL)");
    const found = db.prepare("SELECT version FROM format").get()?.version;
    if (found === undefined) createTables(db);
    else if (found !== FORMAT) throw new StorageFormatError(path, found, FORMAT);
    db.exec("COMMIT");
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof OperationError) throw error;
    if (/locked|busy/i.test(messageOf(error))) throw new StorageInUseError(path, { cause: error });
    throw new StorageFailedError(`opening ${path}: ${messageOf(error)}${remedy(error)}`, { cause: error });
  }
}

function remedy(error: unknown): string {
  const damaged = /not a database|malformed/i.test(messageOf(error));
  return damaged ? "; restore it from a backup, or move it away to begin with an empty cluster" : "";
}

function createTables(db: DatabaseSync): void {
  db.exec(`
    INSERT INTO format (version) VALUES (${FORMAT});
    CREATE TABLE items (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision TEXT NOT NULL, expires INTEGER) WITHOUT ROWID;
    CREATE INDEX items_expires ON items (expires) WHERE expires IS NOT NULL;
  `);
}

/** A write that waits for the next transaction. */
interface Pending {
  /** Runs inside the transaction; throws an `OperationError` without having changed anything. */
  apply(): { result: unknown; change?: Change };
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

class SqliteBackend implements Backend {
  readonly #db: DatabaseSync;
  readonly #clock: Clock;
  readonly #watchers: Watchers;
  readonly #expiry: ExpiryTimer;
  readonly #sql: ReturnType<typeof statements>;
  #pending: Pending[] = [];
  #scheduled: NodeJS.Immediate | undefined;
  #closed = false;

  constructor(db: DatabaseSync, clock: Clock, maxWatchQueue?: number) {
    this.#db = db;
    this.#clock = clock;
    this.#watchers = new Watchers(maxWatchQueue);
    this.#sql = statements(db);
    this.#expiry = new ExpiryTimer(clock, () => this.#sweep());
    this.#expiry.expect(this.#nextExpiry());
  }

  create(key: string, value: Uint8Array, options?: WriteOptions): Promise<string> {
    return this.#enqueue(key, value, () => {
      if (this.#live(key) !== undefined) throw new KeyExistsError(key);
      return this.#write(key, value, options);
    });
  }

  put(key: string, value: Uint8Array, options?: WriteOptions): Promise<string> {
    return this.#enqueue(key, value, () => this.#write(key, value, options));
  }

  update(key: string, value: Uint8Array, revision: string, options?: WriteOptions): Promise<string> {
    return this.#enqueue(key, value, () => {
      const item = this.#live(key);
      if (item === undefined) throw new KeyNotFoundError(key);
      if (item.revision !== revision) throw new StaleRevisionError(key);
      return this.#write(key, value, options);
    });
  }

  async get(key: string): Promise<Item | undefined> {
    this.#assertOpen();
    return this.#read(() => this.#live(key));
  }

  async range(prefix: string, options: { after?: string; limit?: number } = {}): Promise<Item[]> {
    this.#assertOpen();
    checkKey(prefix);
    const after = options.after ?? "";
    const limit = options.limit ?? -1; // SQLite: no limit
    const now = this.#clock.wallMs();
    return this.#read(() => this.#sql.range.all(prefix, prefix + KEY_END, after, now, limit).map(itemOf));
  }

  delete(key: string, revision?: string): Promise<boolean> {
    return this.#enqueue(key, undefined, () => {
      const item = this.#live(key);
      if (item === undefined) return { result: false };
      if (revision !== undefined && item.revision !== revision) throw new StaleRevisionError(key);
      this.#sql.delete.run(key);
      return { result: true, change: { type: "delete", key } };
    });
  }

  async prolong(key: string, expires: number): Promise<boolean> {
    const there = await this.#enqueue(key, undefined, () => {
      if (this.#live(key) === undefined) return { result: false };
      this.#sql.prolong.run(expires, key);
      return { result: true };
    });
    if (there) this.#expiry.expect(expires);
    return there;
  }

  watch(prefix: string, options: { signal: AbortSignal }): AsyncIterable<Change> {
    this.#assertOpen();
    return this.#watchers.add(prefix, options.signal);
  }

  /** Writes what is pending, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    while (this.#pending.length > 0) this.#flush();
    this.#closed = true;
    clearImmediate(this.#scheduled);
    this.#expiry.close();
    this.#watchers.close();
    this.#db.close();
  }

  /** Writes of one turn of the event loop share one transaction, hence one wait for the disk. */
  #enqueue<T>(key: string, value: Uint8Array | undefined, apply: () => { result: T; change?: Change }): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#assertOpen();
      checkWrite(key, value); // here, where a bug of one caller does not fail the others' batch
      this.#pending.push({ apply, resolve: resolve as (result: unknown) => void, reject });
      this.#scheduled ??= setImmediate(() => this.#flush());
    });
  }

  #flush(): void {
    const batch = this.#pending.splice(0, MAX_BATCH);
    this.#scheduled = this.#pending.length > 0 ? setImmediate(() => this.#flush()) : undefined;
    const settle: (() => void)[] = [];
    const changes: Change[] = [];
    try {
      this.#transaction(() => {
        for (const write of batch) {
          try {
            const { result, change } = write.apply();
            if (change !== undefined) changes.push(change);
            settle.push(() => write.resolve(result));
          } catch (error) {
            if (!(error instanceof OperationError)) throw error;
            settle.push(() => write.reject(error));
          }
        }
      });
    } catch (error) {
      for (const write of batch) write.reject(error);
      return;
    }
    for (const change of changes) {
      this.#watchers.emit(change);
      if (change.type === "put") this.#expiry.expect(change.item.expires);
    }
    for (const done of settle) done();
  }

  #transaction(run: () => void): void {
    try {
      this.#db.exec("BEGIN IMMEDIATE");
      run();
      this.#db.exec("COMMIT");
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw failure(error);
    }
  }

  #write(key: string, value: Uint8Array, options?: WriteOptions): { result: string; change: Change } {
    const revision = randomUUID();
    const expires = options?.expires;
    this.#sql.put.run(key, value, revision, expires ?? null);
    const item = { key, value: value.slice(), revision, ...(expires === undefined ? {} : { expires }) };
    return { result: revision, change: { type: "put", item } };
  }

  #live(key: string): Item | undefined {
    checkKey(key);
    const row = this.#sql.get.get(key, this.#clock.wallMs());
    return row === undefined ? undefined : itemOf(row);
  }

  #read<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw failure(error);
    }
  }

  #sweep(): number | undefined {
    if (this.#closed) return undefined;
    const gone: string[] = [];
    try {
      this.#transaction(() => {
        const rows = this.#sql.expired.all(this.#clock.wallMs(), MAX_EXPIRED_PER_PASS);
        for (const { key } of rows) {
          this.#sql.delete.run(key as string);
          gone.push(key as string);
        }
      });
    } catch {
      return this.#clock.wallMs() + 1000; // the disk failed; lapsed items are invisible anyway
    }
    for (const key of gone) this.#watchers.emit({ type: "delete", key });
    return this.#nextExpiry();
  }

  #nextExpiry(): number | undefined {
    const next = this.#sql.nextExpiry.get()?.expires;
    return typeof next === "number" ? next : undefined;
  }

  #assertOpen(): void {
    if (this.#closed) throw new StorageClosedError();
  }
}

function statements(
  db: DatabaseSync,
): Record<"get" | "put" | "prolong" | "delete" | "range" | "expired" | "nextExpiry", StatementSync> {
  const live = "(expires IS NULL OR expires > ?)";
  return {
    get: db.prepare(`SELECT * FROM items WHERE key = ? AND ${live}`),
    put: db.prepare("INSERT OR REPLACE INTO items (key, value, revision, expires) VALUES (?, ?, ?, ?)"),
    prolong: db.prepare("UPDATE items SET expires = ? WHERE key = ?"),
    delete: db.prepare("DELETE FROM items WHERE key = ?"),
    range: db.prepare(`SELECT * FROM items WHERE key >= ? AND key < ? AND key > ? AND ${live} ORDER BY key LIMIT ?`),
    expired: db.prepare("SELECT key FROM items WHERE expires <= ? ORDER BY expires LIMIT ?"),
    nextExpiry: db.prepare("SELECT min(expires) AS expires FROM items WHERE expires IS NOT NULL"),
  };
}

function itemOf(row: Record<string, unknown>): Item {
  const { key, value, revision, expires } = row as {
    key: string;
    value: Uint8Array;
    revision: string;
    expires: number | null;
  };
  return { key, value, revision, ...(expires === null ? {} : { expires }) };
}

function failure(error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code !== "ERR_SQLITE_ERROR") return error;
  return new StorageFailedError(`the database failed: ${messageOf(error)}; check the disk of data_dir`, {
    cause: error,
  });
}
