import type { Resource } from "../../api/mod.ts";
import { messageOf } from "../../base/mod.ts";
import type { Backend } from "../../storage/mod.ts";
import type { Core } from "../core.ts";
import type { StaticToken } from "../joining.ts";
import { ForeignAuthorities } from "./foreign-authorities.ts";
import { Leaves } from "./leaves.ts";
import { Roots } from "./roots.ts";

/**
 * Trust between clusters, both sides of it. A **leaf** trusts the users of a
 * **root**: they log in there, and reach the leaf's apps by what the leaf's role
 * map makes of their roles. The root vouches for nothing but its own users; the
 * leaf's agents decide.
 */
export class Federation {
  readonly leaves: Leaves;
  readonly #roots: Roots;
  readonly #core: Core;
  readonly #authorities: ForeignAuthorities;
  readonly #stop = new AbortController();
  readonly #following: Promise<void>;

  private constructor(core: Core, roots: Roots, leaves: Leaves, authorities: ForeignAuthorities) {
    this.#core = core;
    this.#roots = roots;
    this.leaves = leaves;
    this.#authorities = authorities;
    this.#following = this.#followProxies();
  }

  static async open(core: Core, backend: Backend, staticTokens: readonly StaticToken[]): Promise<Federation> {
    const authorities = await ForeignAuthorities.open(core);
    const federation = new Federation(core, new Roots(core, backend), new Leaves(core, staticTokens), authorities);
    await federation.#roots.start();
    await federation.leaves.connectionsChanged();
    return federation;
  }

  /** The authorities of callers from other clusters. */
  callerAuthorities(): readonly string[] {
    return this.#authorities.get();
  }

  /** The authorities of callers changed: who came by one of them may have to go. */
  onCallersChange(listener: () => void): void {
    this.#authorities.onChange(listener);
  }

  /** This cluster's own host authority changed: its roots must know at once, and be called by the new one. */
  ownAuthorityChanged(): Promise<void> {
    return this.#roots.start();
  }

  /** Before a resource is written: what it must still become. */
  async completing<R extends Resource>(resource: R): Promise<R> {
    return resource.kind === "trusted_cluster" ? ((await this.#roots.establish(resource)) as R) : resource;
  }

  async written({ kind, metadata }: Resource): Promise<void> {
    if (kind === "trusted_cluster") await this.#roots.written(metadata.name);
  }

  async deleted({ kind, metadata }: Resource): Promise<void> {
    if (kind === "trusted_cluster") await this.#roots.gone(metadata.name);
    if (kind === "remote_cluster") await this.leaves.forget(metadata.name);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#roots.close(), this.#authorities.close(), this.#following]);
  }

  /** A leaf is online while a proxy says so. */
  async #followProxies(): Promise<void> {
    const { signal } = this.#stop;
    try {
      for await (const change of this.#core.store.watch(signal)) {
        const kind = change.type === "put" ? change.resource.kind : change.kind;
        if (kind === "proxy") await this.leaves.connectionsChanged();
      }
    } catch (error) {
      if (!signal.aborted) this.#core.log.error({ error: messageOf(error) }, "leaf clusters are followed no more");
    }
  }
}
