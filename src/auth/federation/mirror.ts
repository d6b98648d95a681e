import type { AppSession } from "../../api/mod.ts";
import { type Logger, messageOf } from "../../base/mod.ts";
import { CachedView, type RpcClient } from "../../rpc/mod.ts";
import type { Core } from "../core.ts";
import { unlessMissing } from "./leaves.ts";

/**
 * The app sessions that a root has issued for apps of this cluster, kept as
 * this cluster's own `app_session` resources: so agents and proxies here see
 * their ends as they see all others. They have no route key: a root's token is
 * good at the root's proxies only. While the root is away the last ones stay;
 * their certificates end them.
 */
export class SessionMirror {
  readonly #core: Core;
  readonly #root: string;
  readonly #log: Logger;
  readonly #view: CachedView<"app_session">;
  /** Names whose copy may be out of date. */
  readonly #due = new Set<string>();
  #working: Promise<void> = Promise.resolve();
  #busy = false;
  #closed = false;

  constructor(core: Core, root: string, client: RpcClient) {
    this.#core = core;
    this.#root = root;
    this.#log = core.log;
    this.#view = new CachedView(client, ["app_session"], { log: core.log });
    this.#view.onChange(({ name }) => this.#later(name));
    this.#view.ready.then(
      () => this.#sweep(),
      () => {},
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#view.close();
    await this.#working;
  }

  /** What ended while nobody looked: before this process began. */
  async #sweep(): Promise<void> {
    for (const { metadata } of await mirrored(this.#core, this.#root)) this.#later(metadata.name);
  }

  #later(name: string): void {
    this.#due.add(name);
    if (!this.#busy) this.#working = this.#work();
  }

  async #work(): Promise<void> {
    this.#busy = true;
    for (const name of this.#due) {
      if (this.#closed) break;
      // First: what comes while it is written is due once more.
      this.#due.delete(name);
      await this.#copy(name).catch((error: unknown) =>
        this.#log.warn(
          { root: this.#root, error: messageOf(error) },
          "a session of the root cluster was not taken over",
        ),
      );
    }
    this.#busy = false;
  }

  async #copy(name: string): Promise<void> {
    const { store, authorities, clock } = this.#core;
    const present = await store.find("app_session", name);
    // Another root, or this cluster itself, has one of this name: its own is not a root's to change.
    if (present !== undefined && present.spec.root !== this.#root) return;
    const theirs = this.#view.get("app_session", name);
    if (theirs === undefined || theirs.spec.cluster !== authorities.cluster) {
      if (present !== undefined) await store.delete("app_session", name).catch(unlessMissing);
      return;
    }
    if (Date.parse(theirs.spec.expires) <= clock.wallMs()) return;
    await store.upsert(asOfRoot(theirs, this.#root));
  }
}

/** When the trust ends, so do they. */
export async function dropMirrored(core: Core, root: string): Promise<void> {
  for (const { metadata } of await mirrored(core, root)) {
    await core.store.delete("app_session", metadata.name).catch(unlessMissing);
  }
}

async function mirrored(core: Core, root: string): Promise<AppSession[]> {
  const sessions: AppSession[] = [];
  for await (const session of core.store.each("app_session")) if (session.spec.root === root) sessions.push(session);
  return sessions;
}

/** What it is here is this cluster's word, not the root's: its end, and where it is from. */
function asOfRoot({ metadata, spec }: AppSession, root: string): AppSession {
  const { user, app, public_addr, cluster, expires } = spec;
  return {
    kind: "app_session",
    version: "v1",
    metadata: { name: metadata.name, expires },
    spec: { user, app, public_addr, cluster, root, expires },
  };
}
