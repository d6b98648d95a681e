import { type CertAuthority, type ClusterView, UnauthenticatedError } from "../api/mod.ts";
import type { Logger } from "../base/mod.ts";
import type { DialTcp } from "../dial/mod.ts";
import type { LinkBudget } from "../link/mod.ts";
import { authorityCerts, CachedView, type RpcClient } from "../rpc/mod.ts";
import type { AppConnections } from "./app-connections.ts";
import { leafSessions, ownSessions } from "./app-sessions.ts";
import { connectCluster, connectLeaf } from "./cluster.ts";
import { ClusterAccess } from "./cluster-access.ts";
import type { MfaDesk } from "./mfa-desk.ts";
import type { Profile } from "./profile.ts";

interface Leaf {
  readonly access: ClusterAccess;
  readonly rpc: RpcClient;
}

/** One login in use: the cluster that it is to, and the leaf clusters that are reached through it. */
export class LoginAccess {
  /** The first complete view of the root has been told. A leaf may be offline for long: nobody waits for one. */
  readonly seen: Promise<void>;
  readonly #profile: Profile;
  readonly #log: Logger;
  readonly #desk: MfaDesk;
  readonly #budget: LinkBudget;
  readonly #dialTcp: DialTcp | undefined;
  readonly #changed: (views: readonly ClusterView[]) => void;
  readonly #rpc: RpcClient;
  readonly #root: ClusterAccess;
  readonly #trusts: CachedView<"remote_cluster" | "cert_authority">;
  readonly #leaves = new Map<string, Leaf>();
  /** Of all authorities, as last heard. */
  #keys: string | undefined;
  /** By cluster. */
  readonly #views = new Map<string, ClusterView>();

  /** `changed` is called with all that is seen, the root first; `known`: as it was last seen. */
  constructor(
    profile: Profile,
    log: Logger,
    o: {
      known: readonly ClusterView[];
      desk: MfaDesk;
      budget: LinkBudget;
      dialTcp?: DialTcp | undefined;
      changed: (views: readonly ClusterView[]) => void;
    },
  ) {
    this.#profile = profile;
    this.#log = log;
    this.#changed = o.changed;
    this.#desk = o.desk;
    this.#budget = o.budget;
    this.#dialTcp = o.dialTcp;
    for (const view of o.known) this.#views.set(view.cluster, view);
    this.#rpc = connectCluster(profile, log, o.dialTcp);
    const sessions = ownSessions(this.#rpc, this.#desk);
    this.#root = new ClusterAccess({
      ...{ profile, rpc: this.#rpc, sessions, log, budget: o.budget, dialTcp: o.dialTcp },
      changed: (view) => this.#tell(view),
    });
    this.seen = this.#root.seen;
    this.#trusts = new CachedView(this.#rpc, ["remote_cluster", "cert_authority"], { log });
    this.#trusts.ready.then(
      () => {
        this.#trusts.onChange(() => this.#followTrusts());
        this.#followTrusts();
      },
      () => {},
    );
  }

  /** Of the root: since when nothing is heard of it. */
  get view(): ClusterAccess["view"] {
    return this.#root.view;
  }

  /** Auth takes the certificate no more, although its time is not over: a rotation of its authority, or a reset of the user. */
  get refused(): boolean {
    const { staleSince, lastError } = this.#root.view;
    return staleSince !== undefined && lastError instanceof UnauthenticatedError;
  }

  /** `undefined`: not a leaf (any more). */
  connectionsTo(cluster: string): AppConnections | undefined {
    if (cluster === this.#profile.cluster) return this.#root.connections;
    return this.#leaves.get(cluster)?.access.connections;
  }

  /** Looks no more and opens nothing new; open connections go on until `close`. */
  async retire(): Promise<void> {
    await this.#trusts.close();
    await Promise.all(this.#all().map((access) => access.retire()));
  }

  async close(): Promise<void> {
    await this.#trusts.close();
    // Leaves first: their sessions are ended by the root's API.
    await Promise.all([...this.#leaves.values()].map(({ access }) => access.close()));
    await this.#root.close();
  }

  #all(): ClusterAccess[] {
    return [this.#root, ...[...this.#leaves.values()].map(({ access }) => access)];
  }

  #followTrusts(): void {
    const authorities = this.#trusts.list("cert_authority");
    this.#followLeaves(authorities);
    const keys = keysOf(authorities);
    // At each step of a rotation, so that at its end nothing is left that goes by the former key.
    if (this.#keys === keys) return;
    this.#keys = keys;
    for (const { connections } of this.#all()) connections.renewSessions();
  }

  #followLeaves(authorities: readonly CertAuthority[]): void {
    const named = this.#trusts.list("remote_cluster").map(({ metadata }) => metadata.name);
    for (const [cluster, leaf] of this.#leaves) {
      if (named.includes(cluster)) continue;
      this.#leaves.delete(cluster);
      void leaf.access.close();
    }
    for (const cluster of named) {
      const hostCas = authorityCerts(authorities, { type: "host", cluster, known: [] });
      if (hostCas.length === 0) continue; // It comes a moment later.
      const known = this.#leaves.get(cluster);
      if (known) known.rpc.useTrust({ cluster, hostCas });
      else this.#follow(cluster, hostCas);
    }
    const gone = [...this.#views.keys()].filter((each) => each !== this.#profile.cluster && !named.includes(each));
    for (const cluster of gone) this.#views.delete(cluster);
    if (gone.length > 0) this.#tell();
  }

  #follow(cluster: string, hostCas: readonly string[]): void {
    const rpc = connectLeaf(this.#profile, cluster, hostCas, this.#log, this.#dialTcp);
    const access = new ClusterAccess({
      profile: this.#profile,
      rpc,
      leaf: cluster,
      sessions: leafSessions(this.#rpc, rpc, cluster, this.#desk),
      log: this.#log,
      budget: this.#budget,
      dialTcp: this.#dialTcp,
      changed: (view) => this.#tell(view),
    });
    this.#leaves.set(cluster, { access, rpc });
  }

  #tell(view?: ClusterView): void {
    if (view) this.#views.set(view.cluster, view);
    const { cluster } = this.#profile;
    const root = this.#views.get(cluster);
    const leaves = [...this.#views.values()].filter((each) => each.cluster !== cluster);
    leaves.sort((a, b) => (a.cluster < b.cluster ? -1 : 1));
    this.#changed(root ? [root, ...leaves] : leaves);
  }
}

/** What may sign and what is trusted, as one text to compare. */
function keysOf(authorities: readonly CertAuthority[]): string {
  const named = authorities.map(({ metadata, spec }) => {
    const certs = [spec.active_keys, spec.additional_trusted_keys].map((keys) => keys.map(({ cert }) => cert));
    return [metadata.name, certs];
  });
  return JSON.stringify(named.sort());
}
