import { z } from "zod";
import { decodeUtf8, encodeUtf8 } from "../base/mod.ts";
import type { Backend } from "../storage/mod.ts";
import { StoredStateError } from "./errors.ts";
import { keyFor } from "./keys.ts";

/** A document of Auth's own: never a resource, never visible over the API. Its first field is its version. */
export interface Stored<T> {
  readonly value: T;
  readonly revision: string;
}

/** One family of documents, under `/<family>/…`. */
export class Documents<S extends z.ZodType> {
  readonly #backend: Backend;
  readonly #family: string;
  readonly #schema: S;

  constructor(backend: Backend, family: string, schema: S) {
    this.#backend = backend;
    this.#family = family;
    this.#schema = schema;
  }

  async get(...name: string[]): Promise<Stored<z.output<S>> | undefined> {
    const item = await this.#backend.get(this.#key(name));
    return item && { value: this.#decode(item.key, item.value), revision: item.revision };
  }

  /** Throws `KeyExistsError`. */
  create(name: string[], value: z.input<S>, expires?: number): Promise<string> {
    return this.#backend.create(this.#key(name), encode(value), options(expires));
  }

  put(name: string[], value: z.input<S>, expires?: number): Promise<string> {
    return this.#backend.put(this.#key(name), encode(value), options(expires));
  }

  /** Replaces exactly what was read. Throws `StaleRevisionError`, `KeyNotFoundError`. */
  update(name: string[], value: z.input<S>, revision: string, expires?: number): Promise<string> {
    return this.#backend.update(this.#key(name), encode(value), revision, options(expires));
  }

  delete(...name: string[]): Promise<boolean> {
    return this.#backend.delete(this.#key(name));
  }

  /** All under a prefix of the name, with the rest of their names. */
  async list(limit: number, ...prefix: string[]): Promise<({ name: string } & Stored<z.output<S>>)[]> {
    const start = `${this.#key(prefix)}/`;
    const items = await this.#backend.range(start, { limit });
    return items.map((item) => ({
      name: decodeURIComponent(item.key.slice(start.length)),
      value: this.#decode(item.key, item.value),
      revision: item.revision,
    }));
  }

  #key(name: string[]): string {
    return keyFor(this.#family, ...name);
  }

  #decode(key: string, bytes: Uint8Array): z.output<S> {
    try {
      return this.#schema.parse(JSON.parse(decodeUtf8(bytes) ?? ""));
    } catch {
      throw new StoredStateError(key);
    }
  }
}

function encode(value: unknown): Uint8Array {
  return encodeUtf8(JSON.stringify(value));
}

function options(expires: number | undefined): { expires?: number } {
  return expires === undefined ? {} : { expires };
}

/** `z.object` with the version that every stored format begins with. */
export function versioned<T extends z.ZodRawShape>(shape: T) {
  return z.object({ v: z.literal(1), ...shape });
}
