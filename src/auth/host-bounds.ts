import { z } from "zod";
import { fitsAny } from "../access/mod.ts";
import { AccessDeniedError, type AppServer } from "../api/mod.ts";
import type { Backend } from "../storage/mod.ts";
import { Documents, versioned } from "./documents.ts";
import type { ResourceStore } from "./store.ts";

const schema = versioned({ app_names: z.array(z.string()), public_addrs: z.array(z.string()) });

/** What a host may announce, as its join token said. */
export type HostBounds = Omit<z.infer<typeof schema>, "v">;

export const UNBOUNDED: HostBounds = { app_names: ["*"], public_addrs: ["*"] };

/** The bounds of each host that joined as an App Service. A host without a record joined before there were any. */
export class HostBoundsStore {
  readonly #documents: Documents<typeof schema>;
  readonly #store: ResourceStore;

  constructor(backend: Backend, store: ResourceStore) {
    this.#documents = new Documents(backend, "host_bounds", schema);
    this.#store = store;
  }

  /**
   * For a host that joins. A joiner chooses its own uuid: by a bounded token it
   * must not become a host that is there already, with other bounds.
   */
  async settle(hostId: string, bounds: HostBounds): Promise<void> {
    const known = (await this.#documents.get(hostId))?.value;
    if (!isUnbounded(bounds) && (known === undefined ? await this.#isServing(hostId) : !same(known, bounds))) {
      throw new AccessDeniedError(
        "a host of this uuid has joined by another token: start the new one with a data_dir of its own",
      );
    }
    await this.#documents.put([hostId], { v: 1, ...bounds });
  }

  /** Why the host may not announce this; `undefined` where it may. */
  async objection(hostId: string, { spec: { app } }: AppServer): Promise<string | undefined> {
    const bounds = (await this.#documents.get(hostId))?.value ?? UNBOUNDED;
    const { name } = app.metadata;
    const address = app.spec.public_addr ?? "";
    if (!fitsAny(bounds.app_names, name))
      return `the join token of this host does not allow the app name ${quote(name)}`;
    if (fitsAny(bounds.public_addrs, address)) return undefined;
    return `the join token of this host does not allow the public_addr ${quote(address)} of app ${quote(name)}`;
  }

  async #isServing(hostId: string): Promise<boolean> {
    for await (const _ of this.#store.startingWith("app_server", `${hostId}.`)) return true;
    return false;
  }
}

function isUnbounded({ app_names, public_addrs }: HostBounds): boolean {
  return app_names.includes("*") && public_addrs.includes("*");
}

function same(a: HostBounds, b: HostBounds): boolean {
  const text = ({ app_names, public_addrs }: HostBounds) => JSON.stringify([app_names, public_addrs]);
  return text(a) === text(b);
}

function quote(text: string): string {
  return JSON.stringify(text);
}
