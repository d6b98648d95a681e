import { z } from "zod";
import type { CertAuthority } from "../api/mod.ts";
import type { Clock } from "../base/mod.ts";
import { type CaType, createCa, type KeyedCert } from "../pki/mod.ts";
import { type Backend, KeyExistsError } from "../storage/mod.ts";
import { Documents, versioned } from "./documents.ts";
import { StoredStateError } from "./errors.ts";
import type { ResourceStore } from "./store.ts";

const schema = versioned({ cert: z.string(), key: z.string(), generation: z.int().min(1) });

/** The cluster's authorities with their keys, which exist here and in storage only. */
export interface Authorities {
  readonly cluster: string;
  readonly user: KeyedCert;
  readonly host: KeyedCert;
  /** Rises when the host authority changes. */
  readonly generation: number;
}

/** Loads the authorities; the first start makes them. Also shows their certificates as `cert_authority` resources. */
export async function openAuthorities(
  o: { backend: Backend; store: ResourceStore; clock: Clock },
  cluster: string,
): Promise<Authorities> {
  const documents = new Documents(o.backend, "ca", schema);
  const user = await loadOrCreate(documents, cluster, "user", o.clock);
  const host = await loadOrCreate(documents, cluster, "host", o.clock);
  await show(o.store, cluster, "user", user.certPem);
  await show(o.store, cluster, "host", host.certPem);
  return { cluster, user, host, generation: host.generation };
}

async function loadOrCreate(
  documents: Documents<typeof schema>,
  cluster: string,
  type: CaType,
  clock: Clock,
): Promise<KeyedCert & { generation: number }> {
  const stored = await documents.get(type);
  if (stored !== undefined) {
    const { cert, key, generation } = stored.value;
    return { certPem: cert, keyPem: key, generation };
  }
  const { certPem, keyPem } = await createCa({ cluster, type, now: clock.wallMs() });
  try {
    await documents.create([type], { v: 1, cert: certPem, key: keyPem, generation: 1 });
    return { certPem, keyPem, generation: 1 };
  } catch (error) {
    // Another instance on the same storage was first: its authority counts.
    if (!(error instanceof KeyExistsError)) throw error;
    const theirs = await documents.get(type);
    if (theirs === undefined) throw new StoredStateError(`${type} authority`);
    const { cert, key, generation } = theirs.value;
    return { certPem: cert, keyPem: key, generation };
  }
}

async function show(store: ResourceStore, cluster: string, type: CaType, certPem: string): Promise<void> {
  const name = `${type}/${cluster}`;
  const resource: CertAuthority = {
    kind: "cert_authority",
    version: "v2",
    metadata: { name },
    spec: { type, cluster_name: cluster, active_keys: [{ cert: certPem }], additional_trusted_keys: [] },
  };
  const known = await store.find("cert_authority", name);
  if (JSON.stringify(known?.spec) !== JSON.stringify(resource.spec)) await store.upsert(resource);
}
