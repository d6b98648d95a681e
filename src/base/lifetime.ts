/**
 * What was started is ended by its owner, in reverse order, and `close`
 * returns only when all of it has ended.
 */
export class Lifetime implements AsyncDisposable {
  readonly #abort = new AbortController();
  readonly #owned: Array<() => void | Promise<void>> = [];
  #closing: Promise<void> | undefined;

  constructor(parent?: AbortSignal) {
    if (parent?.aborted) this.#abort.abort(parent.reason);
    parent?.addEventListener("abort", () => this.#abort.abort(parent.reason), {
      once: true,
      signal: this.#abort.signal,
    });
  }

  /** Aborted as soon as the end begins. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Ends `resource` when this ends, after everything that was added later. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    this.defer(async () => {
      if (Symbol.asyncDispose in resource) await resource[Symbol.asyncDispose]();
      else resource[Symbol.dispose]();
    });
    return resource;
  }

  defer(end: () => void | Promise<void>): void {
    this.#owned.push(end);
  }

  close(reason: unknown = new Error("closed")): Promise<void> {
    this.#closing ??= this.#end(reason);
    return this.#closing;
  }

  async #end(reason: unknown): Promise<void> {
    this.#abort.abort(reason);
    const failures: unknown[] = [];
    for (let end = this.#owned.pop(); end !== undefined; end = this.#owned.pop()) {
      try {
        await end();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, "not everything ended cleanly");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
