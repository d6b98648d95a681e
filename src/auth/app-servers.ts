import { z } from "zod";
import { type AppServer, parseHostPort } from "../api/mod.ts";
import type { Clock } from "../base/mod.ts";
import type { Backend } from "../storage/mod.ts";
import { Documents, versioned } from "./documents.ts";
import { MAX_SERVERS_OF_APP, SERVER_INDEX_LIFE_MS } from "./limits.ts";
import type { ResourceStore } from "./store.ts";

const schema = versioned({ until: z.number() });
const doneSchema = versioned({});

/**
 * Announced apps by name and by address, so that one among ten thousand is found
 * without looking at the others. The index lies in storage beside the
 * `app_server` resources and may know more than is there, never less: what is
 * found by it is read from the resource itself.
 */
export class AppServers {
  readonly #store: ResourceStore;
  readonly #clock: Clock;
  readonly #byName: Documents<typeof schema>;
  readonly #byAddress: Documents<typeof schema>;

  private constructor(o: { backend: Backend; store: ResourceStore; clock: Clock }) {
    this.#store = o.store;
    this.#clock = o.clock;
    this.#byName = new Documents(o.backend, "server_of_app", schema);
    this.#byAddress = new Documents(o.backend, "server_at", schema);
  }

  /** What an older version announced is put into the index, once. */
  static async open(o: { backend: Backend; store: ResourceStore; clock: Clock }): Promise<AppServers> {
    const servers = new AppServers(o);
    const done = new Documents(o.backend, "done", doneSchema);
    if ((await done.get("server_index")) !== undefined) return servers;
    for await (const server of o.store.each("app_server")) await servers.#index(server);
    await done.put(["server_index"], { v: 1 });
    return servers;
  }

  /** Announced, or announced again. */
  async put(server: AppServer): Promise<AppServer> {
    await this.#index(server); // First: what is not in it would not be found.
    return this.#store.announce(server);
  }

  /** All that announce an app of this name. */
  async named(app: string): Promise<AppServer[]> {
    const servers = await this.#read(this.#byName, app);
    return servers.filter(({ spec }) => spec.app.metadata.name === app);
  }

  /** All that announce an app at this address, a lower-case host name. */
  async at(address: string): Promise<AppServer[]> {
    const servers = await this.#read(this.#byAddress, address);
    return servers.filter((server) => addressKey(server) === address);
  }

  async #read(index: Documents<typeof schema>, key: string): Promise<AppServer[]> {
    const names = (await index.list(MAX_SERVERS_OF_APP, key)).map(({ name }) => name);
    const found = await Promise.all(names.map((name) => this.#store.find("app_server", name)));
    return found.filter((server) => server !== undefined);
  }

  async #index(server: AppServer): Promise<void> {
    const { name } = server.metadata;
    await Promise.all([
      this.#refresh(this.#byName, server.spec.app.metadata.name, name),
      this.#refresh(this.#byAddress, addressKey(server), name),
    ]);
  }

  /** Renewed in the second half of its life only: most heartbeats write nothing here. */
  async #refresh(index: Documents<typeof schema>, key: string, name: string): Promise<void> {
    if (key === "") return;
    const now = this.#clock.wallMs();
    const known = await index.get(key, name);
    if (known !== undefined && known.value.until - now > SERVER_INDEX_LIFE_MS / 2) return;
    const until = now + SERVER_INDEX_LIFE_MS;
    await index.put([key, name], { v: 1, until }, until);
  }
}

function addressKey({ spec }: AppServer): string {
  return hostOf(spec.app.spec.public_addr ?? "");
}

/** The host of an address, lower case and without its final dot. */
export function hostOf(address: string): string {
  return (parseHostPort(address)?.host ?? address).toLowerCase().replace(/\.$/, "");
}
