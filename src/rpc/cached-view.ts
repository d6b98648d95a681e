import { type Kind, type KnownRevisions, MAX_KNOWN, type ResourceOf } from "../api/mod.ts";
import { type Logger, messageOf, OperationError, silentLogger, sleep } from "../base/mod.ts";
import { Backoff } from "./backoff.ts";
import type { RpcClient } from "./client.ts";
import type { WatchEventOf } from "./contract.ts";

export type ViewChange<K extends Kind> =
  | { readonly type: "put"; readonly kind: K; readonly name: string; readonly resource: ResourceOf<K> }
  | { readonly type: "delete"; readonly kind: K; readonly name: string };

type Table<K extends Kind> = Map<K, Map<string, ResourceOf<K>>>;

/**
 * A copy of some kinds of resource, as far as the caller may see them: listed,
 * then watched. While Auth is away the last copy stays; `staleSince` tells since
 * when. After a loss the changes in between are told as the difference, which
 * is all that travels.
 */
export class CachedView<K extends Kind> implements AsyncDisposable {
  /** The first complete copy is there. Rejects only when closed before. */
  readonly ready: Promise<void>;
  readonly #client: RpcClient;
  readonly #kinds: readonly K[];
  readonly #log: Logger;
  readonly #abort = new AbortController();
  readonly #listeners = new Set<(change: ViewChange<K>) => void>();
  readonly #running: Promise<void>;
  readonly #backoff = new Backoff();
  #table: Table<K>;
  #staleSince: number | undefined = Date.now();
  #lastError: Error | undefined;

  constructor(client: RpcClient, kinds: readonly K[], o: { log?: Logger } = {}) {
    this.#client = client;
    this.#kinds = kinds;
    this.#log = o.log ?? silentLogger;
    this.#table = this.#emptyTable();
    const first = Promise.withResolvers<void>();
    this.ready = first.promise;
    first.promise.catch(() => {}); // Nobody need wait for it.
    this.#abort.signal.addEventListener("abort", () => first.reject(this.#abort.signal.reason), { once: true });
    this.#running = this.#run(first.resolve);
  }

  get<J extends K>(kind: J, name: string): ResourceOf<J> | undefined {
    return this.#table.get(kind)?.get(name) as ResourceOf<J> | undefined;
  }

  list<J extends K>(kind: J): ResourceOf<J>[] {
    return [...(this.#table.get(kind)?.values() ?? [])] as ResourceOf<J>[];
  }

  /** Called after the view has changed. Returns the way to stop. */
  onChange(listener: (change: ViewChange<K>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Milliseconds since 1970 when the feed was lost; `undefined` while it is live. */
  get staleSince(): number | undefined {
    return this.#staleSince;
  }

  /** Why the feed was last lost. */
  get lastError(): Error | undefined {
    return this.#lastError;
  }

  async close(): Promise<void> {
    this.#abort.abort(new Error("the view was closed"));
    this.#listeners.clear();
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(ready: () => void): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        await this.#follow(ready, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#staleSince ??= Date.now();
        this.#lastError = error instanceof Error ? error : new Error(messageOf(error));
        const level = error instanceof OperationError ? "info" : "error";
        this.#log[level]({ kinds: this.#kinds, error: messageOf(error) }, "the watch ended; it will be started again");
      }
      await sleep(this.#backoff.nextMs(), signal).catch(() => {});
    }
  }

  /** After a loss only the difference to what is known is asked for; the first time, and of a large copy, all. */
  async #follow(ready: () => void, signal: AbortSignal): Promise<void> {
    const known = this.#known();
    let next = known === undefined ? this.#emptyTable() : undefined;
    for await (const event of this.#client.watch(this.#kinds, signal, known)) {
      if (event.type !== "init") {
        if (next) apply(next, event);
        else this.#change(event);
        continue;
      }
      if (next) this.#replace(next);
      next = undefined;
      this.#staleSince = undefined;
      this.#backoff.reset();
      ready();
    }
  }

  #known(): KnownRevisions | undefined {
    const known: KnownRevisions = {};
    let count = 0;
    for (const [kind, resources] of this.#table) {
      const revisions = [...resources].map(([name, { metadata }]) => [name, metadata.revision ?? ""] as const);
      known[kind] = Object.fromEntries(revisions);
      count += revisions.length;
    }
    return count === 0 || count > MAX_KNOWN ? undefined : known;
  }

  #change(event: Exclude<WatchEventOf<K>, { type: "init" }>): void {
    const change = apply(this.#table, event);
    if (change) this.#tell(change);
  }

  #replace(next: Table<K>): void {
    const before = this.#table;
    this.#table = next;
    for (const kind of this.#kinds) {
      const old = before.get(kind) ?? new Map<string, ResourceOf<K>>();
      const now = next.get(kind) ?? new Map<string, ResourceOf<K>>();
      for (const name of old.keys()) if (!now.has(name)) this.#tell({ type: "delete", kind, name });
      for (const [name, resource] of now) {
        const same = old.get(name)?.metadata.revision === resource.metadata.revision;
        if (!same || resource.metadata.revision === undefined) this.#tell({ type: "put", kind, name, resource });
      }
    }
  }

  #tell(change: ViewChange<K>): void {
    for (const listener of this.#listeners) listener(change);
  }

  #emptyTable(): Table<K> {
    return new Map(this.#kinds.map((kind) => [kind, new Map<string, ResourceOf<K>>()]));
  }
}

function apply<K extends Kind>(
  table: Table<K>,
  event: Exclude<WatchEventOf<K>, { type: "init" }>,
): ViewChange<K> | undefined {
  if (event.type === "delete") {
    const known = table.get(event.kind)?.delete(event.name);
    return known ? { type: "delete", kind: event.kind, name: event.name } : undefined;
  }
  const resource = event.resource as ResourceOf<K>;
  const kind = resource.kind as K;
  table.get(kind)?.set(resource.metadata.name, resource);
  return { type: "put", kind, name: resource.metadata.name, resource };
}
