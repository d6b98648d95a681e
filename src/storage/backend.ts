import { assert } from "../base/mod.ts";
import { MAX_KEY_LEN, MAX_VALUE_LEN } from "./limits.ts";

export interface Item {
  readonly key: string;
  readonly value: Uint8Array;
  /** Opaque; differs after every write. */
  readonly revision: string;
  /** Wall-clock milliseconds; from then on the item is absent. */
  readonly expires?: number;
}

export type Change = { readonly type: "put"; readonly item: Item } | { readonly type: "delete"; readonly key: string };

export interface WriteOptions {
  readonly expires?: number;
}

/**
 * An ordered map from keys to octets. A write that has resolved survives the
 * process and the machine's power. Keys are made by `storageKey` and sort by
 * their octets. Values are copied both ways.
 */
export interface Backend extends AsyncDisposable {
  /** Returns the revision. Throws `KeyExistsError`. */
  create(key: string, value: Uint8Array, options?: WriteOptions): Promise<string>;
  /** Creates or replaces; returns the new revision. Without `expires` the item no longer lapses. */
  put(key: string, value: Uint8Array, options?: WriteOptions): Promise<string>;
  /** Replaces exactly what was read. Throws `StaleRevisionError`, `KeyNotFoundError`. */
  update(key: string, value: Uint8Array, revision: string, options?: WriteOptions): Promise<string>;
  /**
   * Another end of the life of what is there; value and revision stay, and
   * watchers are told nothing: a thousand signs of life are no news. Whether
   * there was such an item.
   */
  prolong(key: string, expires: number): Promise<boolean>;
  get(key: string): Promise<Item | undefined>;
  /** Items whose key begins with `prefix` and sorts behind `after`, in order of their keys. */
  range(prefix: string, options?: { after?: string; limit?: number }): Promise<Item[]>;
  /** Whether there was one. With a revision: throws `StaleRevisionError` if it is another. */
  delete(key: string, revision?: string): Promise<boolean>;
  /**
   * Changes from the moment of the call, in their order, expiry included.
   * Ends when `signal` is aborted or the backend closed; fails with
   * `WatchLaggedError`.
   */
  watch(prefix: string, options: { signal: AbortSignal }): AsyncIterable<Change>;
}

/** `storageKey("user", "a/b")` → `/user/a%2Fb`. Any text may be a part; prefixes end in a slash. */
export function storageKey(...parts: string[]): string {
  return parts.map((part) => `/${encodeURIComponent(part.toWellFormed())}`).join("");
}

/** The prefix of all keys under these parts. */
export function storagePrefix(...parts: string[]): string {
  return `${storageKey(...parts)}/`;
}

/** Above every character that a key may hold, so `prefix + KEY_END` ends a range. */
export const KEY_END = "\x7f";

export function checkKey(key: string): void {
  assert(key.length <= MAX_KEY_LEN && /^[\x21-\x7e]*$/.test(key), "a storage key is printable ASCII; see storageKey");
}

export function checkWrite(key: string, value?: Uint8Array): void {
  checkKey(key);
  assert(key.length > 0, "a storage key is not empty");
  assert(value === undefined || value.length <= MAX_VALUE_LEN, `a stored value is at most ${MAX_VALUE_LEN} octets`);
}
