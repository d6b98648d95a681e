import type { Change } from "./backend.ts";
import { WatchLaggedError } from "./errors.ts";
import { MAX_WATCH_QUEUE } from "./limits.ts";

/** Hands each change to those who watch its key. */
export class Watchers {
  readonly #watchers = new Set<Watcher>();
  readonly #maxQueue: number;

  constructor(maxQueue = MAX_WATCH_QUEUE) {
    this.#maxQueue = maxQueue;
  }

  /** Registers now, not at the first `next()`: what happens in between is not lost. */
  add(prefix: string, signal: AbortSignal): AsyncIterable<Change> {
    const watcher = new Watcher(prefix, this.#maxQueue, () => {
      signal.removeEventListener("abort", end);
      this.#watchers.delete(watcher);
    });
    const end = () => watcher.end();
    this.#watchers.add(watcher);
    if (signal.aborted) watcher.end();
    else signal.addEventListener("abort", end, { once: true });
    return watcher;
  }

  emit(change: Change): void {
    const key = change.type === "put" ? change.item.key : change.key;
    for (const watcher of this.#watchers) if (key.startsWith(watcher.prefix)) watcher.push(change);
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.end();
  }
}

class Watcher implements AsyncIterableIterator<Change> {
  readonly prefix: string;
  readonly #maxQueue: number;
  readonly #left: () => void;
  #queue: Change[] = [];
  #failure: Error | undefined;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(prefix: string, maxQueue: number, left: () => void) {
    this.prefix = prefix;
    this.#maxQueue = maxQueue;
    this.#left = left;
  }

  push(change: Change): void {
    if (this.#ended) return;
    if (this.#queue.length >= this.#maxQueue) this.#finish(new WatchLaggedError(this.#maxQueue));
    else this.#queue.push(change);
    this.#wake?.();
  }

  end(): void {
    this.#finish(undefined);
    this.#wake?.();
  }

  #finish(failure: Error | undefined): void {
    this.#failure = failure;
    this.#ended = true;
    this.#queue = [];
    this.#left();
  }

  async next(): Promise<IteratorResult<Change>> {
    for (;;) {
      const value = this.#queue.shift();
      if (value !== undefined) return { done: false, value };
      if (this.#failure !== undefined) {
        const failure = this.#failure;
        this.#failure = undefined;
        throw failure;
      }
      if (this.#ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  async return(): Promise<IteratorResult<Change>> {
    if (!this.#ended) this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
