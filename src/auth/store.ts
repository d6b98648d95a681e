import {
  AlreadyExistsError,
  BadInputError,
  type Kind,
  NotFoundError,
  type Resource,
  type ResourceOf,
  RevisionMismatchError,
  SINGLETONS,
} from "../api/mod.ts";
import { type Clock, decodeUtf8, encodeUtf8 } from "../base/mod.ts";
import {
  type Backend,
  type Change,
  type Item,
  KeyExistsError,
  KeyNotFoundError,
  StaleRevisionError,
  storagePrefix,
} from "../storage/mod.ts";
import { keyFor } from "./keys.ts";
import { PAGE_LEN } from "./limits.ts";

export type ResourceChange =
  | { readonly type: "put"; readonly resource: Resource }
  | { readonly type: "delete"; readonly kind: Kind; readonly name: string };

const FAMILY = "resource";
const FORMAT_VERSION = 1;

/**
 * Resources as documents in storage. `metadata.revision` is storage's and not
 * stored; `metadata.expires` is storage's expiry too. What was stored is not
 * validated again: a rule that became stricter does not hide what exists.
 */
export class ResourceStore {
  readonly #backend: Backend;
  readonly #clock: Clock;
  readonly #decoded = new WeakMap<Item, Resource>();

  constructor(backend: Backend, clock: Clock) {
    this.#backend = backend;
    this.#clock = clock;
  }

  async find<K extends Kind>(kind: K, name: string): Promise<ResourceOf<K> | undefined> {
    const item = await this.#backend.get(keyOf(kind, name));
    return item && (decode(item) as ResourceOf<K> | undefined);
  }

  /** Throws `NotFoundError`. */
  async get<K extends Kind>(kind: K, name: string): Promise<ResourceOf<K>> {
    const found = await this.find(kind, name);
    if (found === undefined) throw notFound(kind, name);
    return found;
  }

  /** All of a kind, in the order of their names. */
  async list<K extends Kind>(kind: K): Promise<ResourceOf<K>[]> {
    const all: ResourceOf<K>[] = [];
    for await (const resource of this.each(kind)) all.push(resource);
    return all;
  }

  /** Read page by page; `start` is the name to begin behind. */
  async *each<K extends Kind>(kind: K, start?: string): AsyncGenerator<ResourceOf<K>> {
    const after = start === undefined ? undefined : keyOf(kind, start);
    for await (const resource of this.#pages(storagePrefix(FAMILY, kind), after)) yield resource as ResourceOf<K>;
  }

  /** Those whose names begin so, in their order. */
  async *startingWith<K extends Kind>(kind: K, prefix: string): AsyncGenerator<ResourceOf<K>> {
    for await (const resource of this.#pages(keyOf(kind, prefix))) yield resource as ResourceOf<K>;
  }

  /** Throws `AlreadyExistsError`. */
  async create<R extends Resource>(resource: R): Promise<R> {
    const { kind, metadata } = resource;
    try {
      const revision = await this.#backend.create(keyOf(kind, metadata.name), encode(resource), this.#expiry(resource));
      return withRevision(resource, revision);
    } catch (error) {
      if (error instanceof KeyExistsError) throw alreadyExists(kind, metadata.name, error);
      throw error;
    }
  }

  async upsert<R extends Resource>(resource: R): Promise<R> {
    const key = keyOf(resource.kind, resource.metadata.name);
    return withRevision(resource, await this.#backend.put(key, encode(resource), this.#expiry(resource)));
  }

  /**
   * What lapses unless it is announced again: where nothing but its end is
   * new, it lives on and nobody is told; else it is written.
   */
  async announce<R extends Resource>(resource: R): Promise<R> {
    const { kind, metadata } = resource;
    const known = await this.find(kind, metadata.name);
    const { expires } = this.#expiry(resource);
    if (known === undefined || expires === undefined || !sameButEnd(known, resource)) return this.upsert(resource);
    const lives = await this.#backend.prolong(keyOf(kind, metadata.name), expires);
    return lives
      ? ({ ...known, metadata: { ...known.metadata, expires: metadata.expires } } as R)
      : this.upsert(resource);
  }

  /** Conditional on `metadata.revision`. Throws `RevisionMismatchError`, `NotFoundError`. */
  async update<R extends Resource>(resource: R): Promise<R> {
    const { kind, metadata } = resource;
    const { name, revision } = metadata;
    if (revision === undefined) {
      throw new BadInputError("metadata.revision is required: an update is conditional on what was read");
    }
    try {
      const now = await this.#backend.update(keyOf(kind, name), encode(resource), revision, this.#expiry(resource));
      return withRevision(resource, now);
    } catch (error) {
      if (error instanceof KeyNotFoundError) throw notFound(kind, name, error);
      if (error instanceof StaleRevisionError) throw revisionMismatch(kind, name, error);
      throw error;
    }
  }

  /** Throws `NotFoundError`. */
  async delete(kind: Kind, name: string): Promise<void> {
    if (!(await this.#backend.delete(keyOf(kind, name)))) throw notFound(kind, name);
  }

  /** Changes of all kinds from the moment of the call. */
  watch(signal: AbortSignal): AsyncIterable<ResourceChange> {
    return this.#decodeChanges(this.#backend.watch(storagePrefix(FAMILY), { signal }));
  }

  async *#pages(prefix: string, start?: string): AsyncGenerator<Resource> {
    let after = start;
    for (;;) {
      const items: Item[] = await this.#backend.range(prefix, {
        ...(after !== undefined && { after }),
        limit: PAGE_LEN,
      });
      for (const item of items) {
        const resource = decode(item);
        if (resource !== undefined) yield resource;
      }
      if (items.length < PAGE_LEN) return;
      after = items.at(-1)!.key;
    }
  }

  async *#decodeChanges(changes: AsyncIterable<Change>): AsyncGenerator<ResourceChange> {
    for await (const change of changes) {
      if (change.type === "delete") {
        yield { type: "delete", ...nameOf(change.key) };
        continue;
      }
      // Every watcher gets the same item: it is read once for all of them.
      const resource = this.#decoded.get(change.item) ?? decode(change.item);
      if (resource === undefined) continue;
      this.#decoded.set(change.item, resource);
      yield { type: "put", resource };
    }
  }

  #expiry(resource: Resource): { expires?: number } {
    const { expires } = resource.metadata;
    if (expires === undefined) return {};
    const at = Date.parse(expires);
    if (at <= this.#clock.wallMs()) throw new BadInputError(`metadata.expires ${expires} is in the past`);
    return { expires: at };
  }
}

function keyOf(kind: Kind, name: string): string {
  return keyFor(FAMILY, kind, name);
}

function nameOf(key: string): { kind: Kind; name: string } {
  const [kind, name] = key.slice(storagePrefix(FAMILY).length).split("/").map(decodeURIComponent);
  return { kind: kind as Kind, name: name ?? "" };
}

function encode(resource: Resource): Uint8Array {
  const { revision: _, ...metadata } = resource.metadata;
  return encodeUtf8(JSON.stringify({ v: FORMAT_VERSION, resource: { ...resource, metadata } }));
}

/** Undecodable items (of a later version) are left out, so that one of them does not fail every listing. */
function decode(item: Item): Resource | undefined {
  try {
    const stored = JSON.parse(decodeUtf8(item.value) ?? "") as { v: number; resource: Resource };
    return stored.v === FORMAT_VERSION ? withEnd(withRevision(stored.resource, item.revision), item) : undefined;
  } catch {
    return undefined;
  }
}

/** An announcement's end moves in storage only. */
function withEnd(resource: Resource, { expires }: Item): Resource {
  if (expires === undefined || resource.metadata.expires === undefined) return resource;
  return { ...resource, metadata: { ...resource.metadata, expires: new Date(expires).toISOString() } } as Resource;
}

function sameButEnd(a: Resource, b: Resource): boolean {
  const content = ({ metadata: { expires: _, revision: __, ...metadata }, ...rest }: Resource) =>
    JSON.stringify({ ...rest, metadata });
  return content(a) === content(b);
}

function withRevision<R extends Resource>(resource: R, revision: string): R {
  return { ...resource, metadata: { ...resource.metadata, revision } };
}

/** `vnet_config`, `user "alice"`. A token is its own secret: it is not repeated. */
export function titleOf(kind: Kind, name: string): string {
  if (SINGLETONS[kind] !== undefined) return kind;
  return kind === "token" ? "token" : `${kind} ${JSON.stringify(name)}`;
}

export function notFound(kind: Kind, name: string, cause?: unknown): NotFoundError {
  return new NotFoundError(`${titleOf(kind, name)} is not found`, { cause });
}

function alreadyExists(kind: Kind, name: string, cause: unknown): AlreadyExistsError {
  return new AlreadyExistsError(`${titleOf(kind, name)} already exists`, { cause });
}

function revisionMismatch(kind: Kind, name: string, cause: unknown): RevisionMismatchError {
  return new RevisionMismatchError(
    `the revision of ${titleOf(kind, name)} does not match: it may have been changed concurrently; work from the latest state, or use --force to overwrite it`,
    { cause },
  );
}
