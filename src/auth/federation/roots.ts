import { randomBytes } from "node:crypto";
import { z } from "zod";
import {
  BadInputError,
  LimitExceededError,
  parseHostPort,
  type TrustedCluster,
  UnavailableError,
} from "../../api/mod.ts";
import { messageOf } from "../../base/mod.ts";
import { ConnectionLostError, callUnverified, tcpDial } from "../../rpc/mod.ts";
import type { Backend } from "../../storage/mod.ts";
import type { Core } from "../core.ts";
import { Documents, versioned } from "../documents.ts";
import { credentialsFor } from "../joining.ts";
import { MAX_ROOT_CLUSTERS } from "../limits.ts";
import { certsOf, demandAuthorities, putAuthority } from "./authorities.ts";
import { unlessMissing } from "./leaves.ts";
import { dropMirrored } from "./mirror.ts";
import { type RootFacts, RootFollower } from "./root-follower.ts";
import { leafProof, rootProof, sameProof } from "./trust-proof.ts";

const schema = versioned({
  host_cas: z.array(z.string()),
  user_cas: z.array(z.string()),
  tunnel_addrs: z.array(z.string()),
});

/**
 * The leaf's side of trusts: the root clusters whose users may come. What is
 * known of each root is a document of Auth's own; while the trust is enabled
 * its authorities are shown as `cert_authority` resources, the users' one with
 * the role map, and by these proxies and agents go.
 */
export class Roots {
  readonly #core: Core;
  readonly #known: Documents<typeof schema>;
  readonly #followers = new Map<string, RootFollower>();
  /** Followers come and go one after the other. */
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(core: Core, backend: Backend) {
    this.#core = core;
    this.#known = new Documents(backend, "root_trust", schema);
  }

  /** Follows the roots of all trusts that are enabled; those already followed, anew. */
  async start(): Promise<void> {
    for (const { metadata } of await this.#core.store.list("trusted_cluster")) await this.written(metadata.name);
  }

  /**
   * Before a `trusted_cluster` is written: by its token the two clusters are
   * made known to each other. Returns it as it is stored, without the token.
   */
  async establish(resource: TrustedCluster): Promise<TrustedCluster> {
    const { token, ...spec } = resource.spec;
    const { name } = resource.metadata;
    await this.#demandAllowed(resource);
    if (token !== undefined) await this.#exchange(name, token, spec.web_proxy_addr);
    else if ((await this.#known.get(name)) === undefined) {
      throw new BadInputError(
        "spec.token is missing: make one in the root cluster with tctl tokens add --type=trusted_cluster",
      );
    }
    const known = await this.#core.store.find("trusted_cluster", name);
    const status = spec.enabled === false ? undefined : known?.status;
    const { status: _, ...rest } = resource;
    return { ...rest, spec, ...(status && { status }) };
  }

  /** After a `trusted_cluster` was written: its new role map counts, and its root is followed or left. */
  written(name: string): Promise<void> {
    return this.#inTurn(() => this.#follow(name));
  }

  /** After a `trusted_cluster` was deleted: the root's users have no business here any more. */
  gone(name: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#leave(name);
      await this.#conceal(name);
      await this.#known.delete(name);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#turn;
    await Promise.all([...this.#followers.keys()].map((name) => this.#leave(name)));
  }

  async #follow(name: string): Promise<void> {
    await this.#leave(name);
    const trust = await this.#core.store.find("trusted_cluster", name);
    if (trust === undefined || trust.spec.enabled === false) return this.#conceal(name);
    const known = await this.#known.get(name);
    if (known === undefined || this.#closed) return;
    await this.#show(trust, known.value);
    const identity = await credentialsFor(this.#core, ["Auth"], this.#core.hostId);
    const follower = new RootFollower(this.#core, {
      root: name,
      proxyAddress: trust.spec.web_proxy_addr,
      hostCas: known.value.host_cas,
      identity,
      learnt: (facts) => this.#learnt(name, facts),
    });
    this.#followers.set(name, follower);
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => {});
    return mine;
  }

  async #demandAllowed({ metadata, spec }: TrustedCluster): Promise<void> {
    const { store, authorities } = this.#core;
    if (metadata.name === authorities.cluster) {
      throw new BadInputError("a cluster cannot trust itself: metadata.name is the root cluster's name");
    }
    for (const role of spec.role_map.flatMap(({ local }) => local)) {
      if (role.includes("$") || (await store.find("role", role)) !== undefined) continue;
      throw new BadInputError(`spec.role_map: role ${JSON.stringify(role)} does not exist in this cluster`);
    }
    const others = (await store.list("trusted_cluster")).filter((each) => each.metadata.name !== metadata.name);
    if (others.length >= MAX_ROOT_CLUSTERS)
      throw new LimitExceededError(`${MAX_ROOT_CLUSTERS} clusters are trusted already`);
  }

  async #exchange(name: string, token: string, proxyAddress: string): Promise<void> {
    const { cluster } = this.#core.authorities;
    const own = await this.#core.store.get("cert_authority", `host/${cluster}`);
    const facts = { cluster_name: cluster, host_cas: certsOf(own), nonce: randomBytes(32).toString("hex") };
    const mac = leafProof(token, facts);
    const to = { dial: tcpDial(proxyAddress), servername: parseHostPort(proxyAddress)?.host };
    const answer = await callUnverified(to, "trust.establish", { ...facts, mac }).catch((error: unknown) => {
      throw error instanceof ConnectionLostError ? unreachable(proxyAddress, error) : error;
    });
    if (!sameProof(rootProof(token, mac, answer), answer.mac)) {
      throw new BadInputError(`who answers at ${proxyAddress} does not know the token: it is not the root cluster`);
    }
    if (answer.cluster_name !== name) {
      throw new BadInputError(
        `the cluster at ${proxyAddress} is called ${JSON.stringify(answer.cluster_name)}: name the trusted_cluster so`,
      );
    }
    await this.#learn(name, answer);
  }

  /** What the root says of itself: only of itself. */
  async #learn(name: string, { host_cas, user_cas, tunnel_addrs }: RootFacts): Promise<void> {
    demandAuthorities(host_cas, name, "host");
    demandAuthorities(user_cas, name, "user");
    await this.#known.put([name], { v: 1, host_cas, user_cas, tunnel_addrs });
  }

  /** From a follower: `facts`, or why there are none now. */
  async #learnt(name: string, facts: RootFacts | Error): Promise<void> {
    const trust = await this.#core.store.find("trusted_cluster", name);
    if (trust === undefined || this.#closed) return;
    const before = (await this.#known.get(name))?.value;
    if (!(facts instanceof Error)) {
      await this.#learn(name, facts);
      await this.#show(trust, facts);
    }
    const known = facts instanceof Error ? before : facts;
    const status: TrustedCluster["status"] = {
      connection: facts instanceof Error ? "offline" : "online",
      ...(facts instanceof Error && { error: messageOf(facts) }),
      tunnel_addrs: known?.tunnel_addrs ?? [],
    };
    if (JSON.stringify(status) !== JSON.stringify(trust.status)) await this.#core.store.upsert({ ...trust, status });
    // Its host authority is what the follower goes by. Not waited for: the follower that tells this will be closed.
    if (known?.host_cas.join() !== before?.host_cas.join()) {
      this.written(name).catch((error: unknown) =>
        this.#core.log.error({ root: name, error: messageOf(error) }, "the root cluster is followed no more"),
      );
    }
  }

  async #show(trust: TrustedCluster, known: Pick<RootFacts, "host_cas" | "user_cas">): Promise<void> {
    const { store } = this.#core;
    const cluster = trust.metadata.name;
    await putAuthority(store, { cluster, type: "host", certs: known.host_cas });
    await putAuthority(store, { cluster, type: "user", certs: known.user_cas, roleMap: trust.spec.role_map });
  }

  async #conceal(name: string): Promise<void> {
    for (const type of ["user", "host"] as const) {
      await this.#core.store.delete("cert_authority", `${type}/${name}`).catch(unlessMissing);
    }
    await dropMirrored(this.#core, name);
  }

  async #leave(name: string): Promise<void> {
    const follower = this.#followers.get(name);
    this.#followers.delete(name);
    await follower?.close();
  }
}

function unreachable(proxyAddress: string, error: ConnectionLostError): UnavailableError {
  const why = messageOf(error.cause ?? error);
  return new UnavailableError(`the root cluster cannot be reached at ${proxyAddress} (spec.web_proxy_addr): ${why}`, {
    cause: error,
  });
}
