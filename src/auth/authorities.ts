import type { CertAuthority } from "../api/mod.ts";
import type { Clock } from "../base/mod.ts";
import { type CaType, createCa, type KeyedCert } from "../pki/mod.ts";
import { type Backend, KeyExistsError } from "../storage/mod.ts";
import { type CaState, caStateSchema, currentForm, newCa, serverKey, shownRotation } from "./ca-state.ts";
import { Documents } from "./documents.ts";
import { StoredStateError } from "./errors.ts";
import type { ResourceStore } from "./store.ts";

interface Held {
  state: CaState;
  /** Of the stored document: a change is conditional on it. */
  revision: string;
}

/**
 * The cluster's authorities with their keys, which exist here and in storage
 * only. Their certificates are also shown as `cert_authority` resources, which
 * hosts follow. All getters say what holds now: a rotation changes it.
 */
export class Authorities {
  readonly cluster: string;
  readonly #documents: Documents<typeof caStateSchema>;
  readonly #store: ResourceStore;
  readonly #held: Record<CaType, Held>;
  readonly #listeners = new Set<(type: CaType) => Promise<void>>();

  private constructor(
    cluster: string,
    documents: Documents<typeof caStateSchema>,
    store: ResourceStore,
    held: Record<CaType, Held>,
  ) {
    this.cluster = cluster;
    this.#documents = documents;
    this.#store = store;
    this.#held = held;
  }

  /** Loads them; the first start makes them. What a crash left unshown is shown. */
  static async open(
    o: { backend: Backend; store: ResourceStore; clock: Clock },
    cluster: string,
  ): Promise<Authorities> {
    const documents = new Documents(o.backend, "ca", caStateSchema);
    const user = await loadOrCreate(documents, cluster, "user", o.clock);
    const host = await loadOrCreate(documents, cluster, "host", o.clock);
    const authorities = new Authorities(cluster, documents, o.store, { user, host });
    await authorities.#show("user");
    await authorities.#show("host");
    return authorities;
  }

  /** Signs certificates of users. */
  get user(): KeyedCert {
    return keyed(this.#held.user.state.active);
  }

  /** Signs certificates of hosts. */
  get host(): KeyedCert {
    return keyed(this.#held.host.state.active);
  }

  /** Signs the certificate that Auth itself serves with: later than the others in a rotation. */
  get server(): KeyedCert {
    return keyed(serverKey(this.#held.host.state));
  }

  /** Goes behind each host's certificate, PEM. */
  get hostChain(): string {
    return this.#held.host.state.vouchers.join("\n");
  }

  /** Rises when the host authority changes. */
  get generation(): number {
    return this.#held.host.state.generation;
  }

  /** Certificates that vouch now, the signing one first; two while a rotation lasts. */
  trusted(type: CaType): string[] {
    const { active, other } = this.#held[type].state;
    return [active.cert, ...(other === undefined ? [] : [other.cert])];
  }

  /** Certificates by which the host authorities vouch for each other. */
  get vouchers(): string[] {
    const { vouchers, reverse } = this.#held.host.state;
    return [...vouchers, ...(reverse === undefined ? [] : [reverse])];
  }

  state(type: CaType): CaState {
    return this.#held[type].state;
  }

  /**
   * Stores, shows and tells. Throws `StaleRevisionError` where another instance
   * changed it meanwhile; a crash between the two writes is mended by `open`.
   */
  async change(type: CaType, next: CaState): Promise<void> {
    const revision = await this.#documents.update([type], next, this.#held[type].revision);
    this.#held[type] = { state: next, revision };
    await this.#show(type);
    for (const listener of this.#listeners) await listener(type);
  }

  /** Called after each change; `change` resolves when all have. */
  onChange(listener: (type: CaType) => Promise<void>): void {
    this.#listeners.add(listener);
  }

  async #show(type: CaType): Promise<void> {
    const name = `${type}/${this.cluster}`;
    const { state } = this.#held[type];
    const rotation = shownRotation(state);
    const resource: CertAuthority = {
      kind: "cert_authority",
      version: "v2",
      metadata: { name },
      spec: {
        type,
        cluster_name: this.cluster,
        active_keys: [{ cert: state.active.cert }],
        additional_trusted_keys: state.other === undefined ? [] : [{ cert: state.other.cert }],
        ...(rotation !== undefined && { rotation }),
      },
    };
    const known = await this.#store.find("cert_authority", name);
    if (JSON.stringify(known?.spec) !== JSON.stringify(resource.spec)) await this.#store.upsert(resource);
  }
}

async function loadOrCreate(
  documents: Documents<typeof caStateSchema>,
  cluster: string,
  type: CaType,
  clock: Clock,
): Promise<Held> {
  const stored = await documents.get(type);
  if (stored !== undefined) return { state: currentForm(stored.value), revision: stored.revision };
  const state = newCa(await createCa({ cluster, type, now: clock.wallMs() }));
  try {
    return { state, revision: await documents.create([type], state) };
  } catch (error) {
    // Another instance on the same storage was first: its authority counts.
    if (!(error instanceof KeyExistsError)) throw error;
    const theirs = await documents.get(type);
    if (theirs === undefined) throw new StoredStateError(`${type} authority`);
    return { state: currentForm(theirs.value), revision: theirs.revision };
  }
}

function keyed({ cert, key }: { cert: string; key: string }): KeyedCert {
  return { certPem: cert, keyPem: key };
}
