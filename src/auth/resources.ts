import {
  AccessDeniedError,
  CREATABLE_KINDS,
  type Kind,
  type ListFilter,
  type Lock,
  listFilter,
  MAX_PAGE,
  type Resource,
} from "../api/mod.ts";
import { messageOf } from "../base/mod.ts";
import type { CallContext } from "../rpc/mod.ts";
import type { Core } from "./core.ts";
import { demand, type Permit } from "./grants.ts";
import { announce, withdraw } from "./heartbeats.ts";
import { completeLock } from "./locks.ts";
import { markDynamic, refuseIfFromFile } from "./origin.ts";
import { recordWrite, type WriteVerb } from "./record-write.ts";
import { notFound } from "./store.ts";
import { viewerOf } from "./viewer.ts";
import { checkDelete, checkWrite } from "./write-rules.ts";

/** What follows from a write: sessions and secrets of users that changed or went. */
export interface Consequences {
  userChanged(name: string): Promise<void>;
  roleChanged(name: string): Promise<void>;
  preferenceChanged(): Promise<void>;
  /** Before the user goes: nothing of it may be left for another of the same name. */
  userLeaving(name: string, context: CallContext): Promise<void>;
  userGone(name: string): Promise<void>;
  locked(target: Lock["spec"]["target"]): Promise<void>;
  /** Before the write: what Auth itself adds, or does first. */
  completing<R extends Resource>(resource: R): Promise<R>;
  written(resource: Resource): Promise<void>;
  deleted(resource: Resource): Promise<void>;
}

/** Resources as callers read and write them: rules, revisions, audit. */
export class Resources {
  readonly #core: Core;
  readonly #consequences: Consequences;

  constructor(core: Core, consequences: Consequences) {
    this.#core = core;
    this.#consequences = consequences;
  }

  async create(resource: Resource, context: CallContext): Promise<Resource> {
    const { caller } = context;
    if (caller.kind === "host") return announce(this.#core, caller, resource, context);
    const permit = await demand(this.#core, context, ["create"], writable(resource.kind));
    permit.demand(resource);
    return this.#write("create", resource, context, (checked) => this.#core.store.create(checked));
  }

  async update(resource: Resource, context: CallContext): Promise<Resource> {
    const { caller } = context;
    if (caller.kind === "host") return announce(this.#core, caller, resource, context);
    const permit = await demand(this.#core, context, ["update"], writable(resource.kind));
    const known = await this.#core.store.find(resource.kind, resource.metadata.name);
    if (known !== undefined) await this.#demandKnown(permit, known, context);
    permit.demand(resource);
    return this.#write("update", resource, context, (checked) => {
      refuseIfFromFile(known);
      return this.#core.store.update(checked);
    });
  }

  /** The last writer wins; so this is also the way over a setting of the configuration file. */
  async upsert(resource: Resource, context: CallContext): Promise<Resource> {
    const { caller } = context;
    if (caller.kind === "host") return announce(this.#core, caller, resource, context);
    const permit = await demand(this.#core, context, ["create", "update"], writable(resource.kind));
    const known = await this.#core.store.find(resource.kind, resource.metadata.name);
    if (known !== undefined) await this.#demandKnown(permit, known, context);
    permit.demand(resource);
    // As in Teleport, an upsert of vnet_config is always logged as its creation.
    const verb = known === undefined || resource.kind === "vnet_config" ? "create" : "update";
    return this.#write(verb, resource, context, (checked) => this.#core.store.upsert(checked));
  }

  async get(kind: Kind, name: string, context: CallContext): Promise<Resource> {
    const view = await viewerOf(this.#core, context, [kind], ["read"]);
    const seen = view(await this.#core.store.get(kind, name));
    // As if it did not exist: whether it does is not the caller's to know.
    if (seen === undefined) throw notFound(kind, name);
    return seen;
  }

  async delete(kind: Kind, name: string, context: CallContext): Promise<void> {
    const { caller } = context;
    if (caller.kind === "host") return withdraw(this.#core, caller, kind, name);
    const permit = await demand(this.#core, context, ["delete"], deletable(kind));
    const old = await this.#core.store.get(kind, name);
    await this.#demandKnown(permit, old, context);
    refuseIfFromFile(old);
    await checkDelete(this.#core, old);
    if (kind === "user") await this.#consequences.userLeaving(name, context);
    await this.#core.store.delete(kind, name);
    if (kind === "user") await this.#consequences.userGone(name);
    await this.#consequences.deleted(old);
    await recordWrite(this.#core, "delete", old, context);
  }

  /** In pages; `next` is where the following one starts. */
  async list(
    o: { kind: Kind; start?: string | undefined; limit?: number | undefined } & ListFilter,
    context: CallContext,
  ): Promise<{ resources: Resource[]; next?: string }> {
    const view = await viewerOf(this.#core, context, [o.kind], ["list", "read"]);
    const wanted = listFilter(o);
    const limit = o.limit ?? MAX_PAGE;
    const resources: Resource[] = [];
    for await (const resource of this.#core.store.each(o.kind, o.start)) {
      const seen = view(resource);
      if (seen === undefined || !wanted(seen)) continue;
      if (resources.length === limit) return { resources, next: resources.at(-1)!.metadata.name };
      resources.push(seen);
    }
    return { resources };
  }

  /** Of what is there: as if it were not, for those who may not even read it. */
  async #demandKnown(permit: Permit, known: Resource, context: CallContext): Promise<void> {
    if (!permit.covers(known)) await this.get(known.kind, known.metadata.name, context);
    permit.demand(known);
  }

  /** Rules, the write, what follows, the audit event; a failed write is audited too. */
  async #write<R extends Resource>(
    verb: WriteVerb,
    resource: R,
    context: CallContext,
    run: (checked: R) => Promise<R>,
  ): Promise<R> {
    let written: R;
    try {
      await checkWrite(this.#core, resource);
      const completed = await completeLock(this.#core, markDynamic(resource), context);
      written = await run(await this.#consequences.completing(completed));
    } catch (error) {
      await recordWrite(this.#core, verb, resource, context, messageOf(error));
      throw error;
    }
    if (verb === "update") await this.#follow(resource);
    if (written.kind === "lock") await this.#consequences.locked(written.spec.target);
    await this.#consequences.written(written);
    await recordWrite(this.#core, verb, written, context);
    return written;
  }

  async #follow({ kind, metadata }: Resource): Promise<void> {
    if (kind === "user") await this.#consequences.userChanged(metadata.name);
    if (kind === "role") await this.#consequences.roleChanged(metadata.name);
    if (kind === "cluster_auth_preference") await this.#consequences.preferenceChanged();
  }
}

function writable(kind: Kind): Kind {
  if (CREATABLE_KINDS.includes(kind)) return kind;
  throw new AccessDeniedError(`${kind} is the cluster's own and cannot be written`);
}

/** An announcement may be removed by hand: a live host makes it again. A leaf does not. */
function deletable(kind: Kind): Kind {
  return kind === "app_server" || kind === "proxy" || kind === "remote_cluster" ? kind : writable(kind);
}
