import {
  AccessDeniedError,
  AlreadyExistsError,
  BadInputError,
  LimitExceededError,
  NotFoundError,
  type Proxy as ProxyResource,
  type RemoteCluster,
} from "../../api/mod.ts";
import type { CallContext, RequestOf, ResponseOf } from "../../rpc/mod.ts";
import { actorOf, type Core, iso, record } from "../core.ts";
import { liveTokens, type StaticToken, useToken } from "../joining.ts";
import { MAX_LEAF_CLUSTERS } from "../limits.ts";
import { certsOf, demandAuthorities, putAuthority } from "./authorities.ts";
import { leafProof, rootProof, sameProof } from "./trust-proof.ts";

type RootFacts = ResponseOf<"trust.renew">;

/** The root's side of trusts: who may become a leaf, what a leaf is told, and whether it is connected. */
export class Leaves {
  readonly #core: Core;
  readonly #staticTokens: readonly StaticToken[];

  constructor(core: Core, staticTokens: readonly StaticToken[]) {
    this.#core = core;
    this.#staticTokens = staticTokens;
  }

  /** A cluster that proves to know a token of the role TrustedCluster becomes a leaf. */
  async establish(request: RequestOf<"trust.establish">, context: CallContext): Promise<ResponseOf<"trust.establish">> {
    const { cluster_name, host_cas } = request;
    const token = await this.#provenToken(request);
    demandAuthorities(host_cas, cluster_name, "host");
    await this.#demandName(cluster_name, host_cas);
    if (token.name !== undefined) await useToken(this.#core, token.name);
    await putAuthority(this.#core.store, { cluster: cluster_name, type: "host", certs: host_cas });
    await this.#settle(cluster_name);
    await record(this.#core, "trusted_cluster.create", {
      ...actorOf(context),
      name: cluster_name,
      success: true,
      message: "joined as a leaf cluster",
    });
    const facts = await this.#facts();
    return { ...facts, mac: rootProof(token.secret, request.mac, facts) };
  }

  /** The leaf's present authorities, which the one that vouched for this very call vouches for. */
  async renew({ host_cas }: RequestOf<"trust.renew">, { caller }: CallContext): Promise<RootFacts> {
    if (caller.kind !== "leaf") throw new AccessDeniedError("only a leaf cluster renews its trust");
    const { cluster } = caller;
    if ((await this.#core.store.find("remote_cluster", cluster)) === undefined) {
      throw new NotFoundError(`cluster ${JSON.stringify(cluster)} is not a leaf of this one any more`);
    }
    demandAuthorities(host_cas, cluster, "host");
    await putAuthority(this.#core.store, { cluster, type: "host", certs: host_cas });
    await this.#settle(cluster);
    return this.#facts();
  }

  /** Proxies said which leaves are connected to them. */
  async connectionsChanged(): Promise<void> {
    for (const leaf of await this.#core.store.list("remote_cluster")) {
      if (leaf.status?.connection !== (await this.#connection(leaf.metadata.name))) {
        await this.#settle(leaf.metadata.name);
      }
    }
  }

  /** After its `remote_cluster` was deleted: its authority, and what was issued for its apps. */
  async forget(cluster: string): Promise<void> {
    await this.#core.store.delete("cert_authority", `host/${cluster}`).catch(unlessMissing);
  }

  async #provenToken(request: RequestOf<"trust.establish">): Promise<{ secret: string; name?: string }> {
    for (const token of await liveTokens(this.#core, this.#staticTokens, "TrustedCluster")) {
      if (sameProof(leafProof(token.secret, request), request.mac)) return token;
    }
    throw new AccessDeniedError(
      "the token is not valid, has expired, or is not for trusted clusters: make one with tctl tokens add --type=trusted_cluster",
    );
  }

  /** A leaf may come again with its own authority; another cluster may not take its name. */
  async #demandName(cluster: string, hostCas: readonly string[]): Promise<void> {
    if (cluster === this.#core.authorities.cluster) {
      throw new BadInputError(`the leaf is called ${JSON.stringify(cluster)}, as this cluster is: names must differ`);
    }
    const known = await this.#core.store.find("cert_authority", `host/${cluster}`);
    if (known !== undefined && !certsOf(known).some((cert) => hostCas.includes(cert))) {
      throw new AlreadyExistsError(
        `another cluster is a leaf under the name ${JSON.stringify(cluster)}: remove it with tctl rm remote_cluster/${cluster}`,
      );
    }
    if (known === undefined && (await this.#core.store.list("remote_cluster")).length >= MAX_LEAF_CLUSTERS) {
      throw new LimitExceededError(`${MAX_LEAF_CLUSTERS} clusters are leaves of this one already`);
    }
  }

  async #settle(cluster: string): Promise<void> {
    const known = await this.#core.store.find("remote_cluster", cluster);
    const leaf: RemoteCluster = {
      kind: "remote_cluster",
      version: "v3",
      metadata: { ...known?.metadata, name: cluster },
      status: { connection: await this.#connection(cluster), last_heartbeat: iso(this.#core.clock.wallMs()) },
    };
    await this.#core.store.upsert(leaf);
  }

  async #connection(cluster: string): Promise<"online" | "offline"> {
    const proxies = await this.#core.store.list("proxy");
    return proxies.some(({ spec }) => spec.leaf_clusters?.includes(cluster)) ? "online" : "offline";
  }

  async #facts(): Promise<RootFacts> {
    const { cluster } = this.#core.authorities;
    const authorities = await Promise.all(
      (["host", "user"] as const).map((type) => this.#core.store.get("cert_authority", `${type}/${cluster}`)),
    );
    const [host_cas, user_cas] = authorities.map(certsOf) as [string[], string[]];
    return {
      cluster_name: cluster,
      host_cas,
      user_cas,
      tunnel_addrs: tunnelAddrs(await this.#core.store.list("proxy")),
    };
  }
}

/** Where leaves' proxies connect: each proxy's own address. A lone one is reached where the leaf's configuration says. */
function tunnelAddrs(proxies: readonly ProxyResource[]): string[] {
  const own = proxies.filter(({ spec }) => !spec.public_addrs.includes(spec.tunnel_public_addr));
  if (own.length === 0 && proxies.length <= 1) return [];
  return [...new Set(proxies.map(({ spec }) => spec.tunnel_public_addr))].filter((address) => address !== "").sort();
}

export function unlessMissing(error: unknown): void {
  if (!(error instanceof NotFoundError)) throw error;
}
