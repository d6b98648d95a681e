import { randomUUID } from "node:crypto";
import type { Clock } from "../base/mod.ts";
import { type Backend, type Change, checkKey, checkWrite, type Item, type WriteOptions } from "./backend.ts";
import { KeyExistsError, KeyNotFoundError, StaleRevisionError, StorageClosedError } from "./errors.ts";
import { ExpiryTimer } from "./expiry.ts";
import { Watchers } from "./watchers.ts";

/** A backend that forgets: for tests, and as a cache. */
export function openMemory(options: { clock: Clock; maxWatchQueue?: number }): Backend {
  return new MemoryBackend(options.clock, options.maxWatchQueue);
}

class MemoryBackend implements Backend {
  readonly #items = new Map<string, Item>();
  readonly #clock: Clock;
  readonly #watchers: Watchers;
  readonly #expiry: ExpiryTimer;
  #closed = false;

  constructor(clock: Clock, maxWatchQueue?: number) {
    this.#clock = clock;
    this.#watchers = new Watchers(maxWatchQueue);
    this.#expiry = new ExpiryTimer(clock, () => this.#sweep());
  }

  async create(key: string, value: Uint8Array, options?: WriteOptions): Promise<string> {
    this.#assertOpen();
    if (this.#live(key) !== undefined) throw new KeyExistsError(key);
    return this.#write(key, value, options);
  }

  async put(key: string, value: Uint8Array, options?: WriteOptions): Promise<string> {
    this.#assertOpen();
    return this.#write(key, value, options);
  }

  async update(key: string, value: Uint8Array, revision: string, options?: WriteOptions): Promise<string> {
    this.#assertOpen();
    const item = this.#live(key);
    if (item === undefined) throw new KeyNotFoundError(key);
    if (item.revision !== revision) throw new StaleRevisionError(key);
    return this.#write(key, value, options);
  }

  async get(key: string): Promise<Item | undefined> {
    this.#assertOpen();
    const item = this.#live(key);
    return item === undefined ? undefined : copyOf(item);
  }

  async range(prefix: string, options: { after?: string; limit?: number } = {}): Promise<Item[]> {
    this.#assertOpen();
    checkKey(prefix);
    const after = options.after ?? "";
    const keys = [...this.#items.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const items = keys.map((key) => this.#live(key)).filter((item) => item !== undefined);
    return items.slice(0, options.limit).map(copyOf);
  }

  async delete(key: string, revision?: string): Promise<boolean> {
    this.#assertOpen();
    const item = this.#live(key);
    if (item === undefined) return false;
    if (revision !== undefined && item.revision !== revision) throw new StaleRevisionError(key);
    this.#items.delete(key);
    this.#watchers.emit({ type: "delete", key });
    return true;
  }

  async prolong(key: string, expires: number): Promise<boolean> {
    this.#assertOpen();
    const item = this.#live(key);
    if (item === undefined) return false;
    this.#items.set(key, { ...item, expires });
    this.#expiry.expect(expires);
    return true;
  }

  watch(prefix: string, options: { signal: AbortSignal }): AsyncIterable<Change> {
    this.#assertOpen();
    return this.#watchers.add(prefix, options.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#expiry.close();
    this.#watchers.close();
    this.#items.clear();
  }

  #write(key: string, value: Uint8Array, options?: WriteOptions): string {
    checkWrite(key, value);
    const item: Item = {
      key,
      value: value.slice(),
      revision: randomUUID(),
      ...(options?.expires === undefined ? {} : { expires: options.expires }),
    };
    this.#items.set(key, item);
    this.#expiry.expect(item.expires);
    this.#watchers.emit({ type: "put", item: copyOf(item) });
    return item.revision;
  }

  #live(key: string): Item | undefined {
    checkKey(key);
    const item = this.#items.get(key);
    return item?.expires !== undefined && item.expires <= this.#clock.wallMs() ? undefined : item;
  }

  #sweep(): number | undefined {
    const now = this.#clock.wallMs();
    let next: number | undefined;
    for (const { key, expires } of this.#items.values()) {
      if (expires === undefined) continue;
      if (expires > now) {
        next = Math.min(next ?? expires, expires);
        continue;
      }
      this.#items.delete(key);
      this.#watchers.emit({ type: "delete", key });
    }
    return next;
  }

  #assertOpen(): void {
    if (this.#closed) throw new StorageClosedError();
  }
}

function copyOf(item: Item): Item {
  return { ...item, value: item.value.slice() };
}
