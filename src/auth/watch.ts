import type { Kind, KnownRevisions, Resource } from "../api/mod.ts";
import type { CallContext, WatchEventOf } from "../rpc/mod.ts";
import type { Core } from "./core.ts";
import { refuseLocked } from "./locks.ts";
import type { ResourceChange } from "./store.ts";
import { type Viewer, viewerOf } from "./viewer.ts";

type Event = WatchEventOf<Kind>;

/**
 * What exists, `init`, then changes, as the caller may see them. A watcher that
 * comes back says what it has: of that only the difference is told, deletions
 * too. A user whose own record or roles change sees the difference at once:
 * apps appear and go.
 */
export async function* watchResources(
  core: Core,
  { kinds, known = {} }: { kinds: readonly Kind[]; known?: KnownRevisions | undefined },
  context: CallContext,
): AsyncGenerator<Event> {
  const watch = new Watch(core, kinds, known, context);
  // Registered before the listing, so that nothing in between is lost; some may come twice.
  const changes = core.store.watch(context.signal);
  await watch.look();
  yield* watch.all();
  yield { type: "init" };
  for await (const change of changes) {
    if (watch.concernsGrants(change)) {
      await watch.look();
      yield* watch.all();
    }
    const event = watch.event(change);
    if (event !== undefined) yield event;
    // Told first: a locked agent ends its connections by what it was told.
    if (change.type === "put" && change.resource.kind === "lock") await refuseLocked(core, context.caller);
  }
}

class Watch {
  readonly #core: Core;
  readonly #kinds: readonly Kind[];
  readonly #context: CallContext;
  /** Revisions of what was told, by kind and name: what was never shown is never told to be gone. */
  readonly #shown = new Map<Kind, Map<string, string | undefined>>();
  #viewer: Viewer = () => undefined;

  constructor(core: Core, kinds: readonly Kind[], known: KnownRevisions, context: CallContext) {
    this.#core = core;
    this.#kinds = kinds;
    this.#context = context;
    for (const kind of kinds) this.#shown.set(kind, new Map(Object.entries(known[kind] ?? {})));
  }

  /** Throws where the caller may no longer see one of the kinds. */
  async look(): Promise<void> {
    await refuseLocked(this.#core, this.#context.caller);
    this.#viewer = await viewerOf(this.#core, this.#context, this.#kinds, ["list", "read"]);
  }

  /** The difference between what was shown and what may be seen now. */
  async *all(): AsyncGenerator<Event> {
    for (const [kind, shown] of this.#shown) {
      const gone = new Set(shown.keys());
      for await (const resource of this.#candidates(kind)) {
        const { name, revision } = resource.metadata;
        const told = shown.has(name) && shown.get(name) === revision;
        const event = this.event({ type: "put", resource });
        if (event?.type === "put") gone.delete(name);
        if (event?.type === "put" && !told) yield event;
      }
      for (const name of gone) {
        shown.delete(name);
        yield { type: "delete", kind, name };
      }
    }
  }

  /** Of ten thousand announced apps an agent sees its own: the others are not even read. */
  #candidates(kind: Kind): AsyncIterable<Resource> {
    const { caller } = this.#context;
    const { store } = this.#core;
    const ownOnly = kind === "app_server" && caller.kind === "host" && !caller.roles.includes("Proxy");
    return ownOnly ? store.startingWith(kind, `${caller.hostId}.`) : store.each(kind);
  }

  event(change: ResourceChange): Event | undefined {
    const { kind, name } = change.type === "put" ? nameOf(change.resource) : change;
    const shown = this.#shown.get(kind);
    if (shown === undefined) return undefined;
    const resource = change.type === "put" ? this.#viewer(change.resource) : undefined;
    if (resource !== undefined) {
      shown.set(name, resource.metadata.revision);
      return { type: "put", resource };
    }
    return shown.delete(name) ? { type: "delete", kind, name } : undefined;
  }

  concernsGrants(change: ResourceChange): boolean {
    const { caller } = this.#context;
    const { kind, name } = change.type === "put" ? nameOf(change.resource) : change;
    if (caller.kind === "remote_user") {
      return kind === "role" || (kind === "cert_authority" && name === `user/${caller.cluster}`);
    }
    if (caller.kind !== "user") return false;
    return (kind === "user" && name === caller.user) || (kind === "role" && caller.roles.includes(name));
  }
}

function nameOf(resource: { kind: Kind; metadata: { name: string } }): { kind: Kind; name: string } {
  return { kind: resource.kind, name: resource.metadata.name };
}
