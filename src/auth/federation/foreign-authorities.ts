import type { CertAuthority } from "../../api/mod.ts";
import { type Logger, messageOf } from "../../base/mod.ts";
import type { Core } from "../core.ts";
import { certsOf } from "./authorities.ts";

/** The authorities of other clusters that vouch for callers of this one's API, at hand for each handshake. */
export class ForeignAuthorities {
  readonly #core: Core;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #certs = new Map<string, readonly string[]>();
  readonly #listeners = new Set<() => void>();
  readonly #running: Promise<void>;

  private constructor(core: Core) {
    this.#core = core;
    this.#log = core.log;
    // Registered before the listing, so that nothing in between is lost.
    this.#running = this.#follow(core.store.watch(this.#stop.signal));
  }

  static async open(core: Core): Promise<ForeignAuthorities> {
    const authorities = new ForeignAuthorities(core);
    for (const authority of await core.store.list("cert_authority")) authorities.#put(authority);
    return authorities;
  }

  get(): readonly string[] {
    return [...this.#certs.values()].flat();
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #follow(changes: ReturnType<Core["store"]["watch"]>): Promise<void> {
    try {
      for await (const change of changes) {
        const kind = change.type === "put" ? change.resource.kind : change.kind;
        if (kind !== "cert_authority") continue;
        if (change.type === "delete") this.#certs.delete(change.name);
        else this.#put(change.resource as CertAuthority);
        for (const listener of this.#listeners) listener();
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#log.error({ error: messageOf(error) }, "authorities are followed no more");
    }
  }

  #put(authority: CertAuthority): void {
    if (authority.spec.cluster_name === this.#core.authorities.cluster) return;
    this.#certs.set(authority.metadata.name, certsOf(authority));
  }
}
