import type { Kind, Resource, ResourceOf } from "../api/mod.ts";
import type { ViewChange } from "../rpc/mod.ts";

/** A cached view without a cluster: the test says what it shows. */
export class FakeView<K extends Kind> {
  readonly #resources = new Map<string, Resource>();
  readonly #listeners = new Set<(change: ViewChange<K>) => void>();

  get<J extends K>(kind: J, name: string): ResourceOf<J> | undefined {
    return this.#resources.get(`${kind}/${name}`) as ResourceOf<J> | undefined;
  }

  list<J extends K>(kind: J): ResourceOf<J>[] {
    return [...this.#resources.values()].filter((resource) => resource.kind === kind) as ResourceOf<J>[];
  }

  onChange(listener: (change: ViewChange<K>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  put(resource: ResourceOf<K>): void {
    const kind = resource.kind as K;
    const { name } = resource.metadata;
    this.#resources.set(`${kind}/${name}`, resource as Resource);
    this.#tell({ type: "put", kind, name, resource });
  }

  delete(kind: K, name: string): void {
    if (this.#resources.delete(`${kind}/${name}`)) this.#tell({ type: "delete", kind, name });
  }

  #tell(change: ViewChange<K>): void {
    for (const listener of this.#listeners) listener(change);
  }
}
