import type { CertAuthority, RoleMap } from "../../api/mod.ts";
import { BadInputError } from "../../api/mod.ts";
import { isMalformed } from "../../base/mod.ts";
import { authorityOf, type CaType } from "../../pki/mod.ts";
import type { ResourceStore } from "../store.ts";

export interface ForeignAuthority {
  readonly cluster: string;
  readonly type: CaType;
  /** PEM. */
  readonly certs: readonly string[];
  /** Of a root's user authority: what its users' roles are worth here. */
  readonly roleMap?: RoleMap;
}

/** Shows another cluster's authority to all that go by it: proxies, agents, clients. Writes only what differs. */
export async function putAuthority(store: ResourceStore, o: ForeignAuthority): Promise<void> {
  const name = `${o.type}/${o.cluster}`;
  const resource: CertAuthority = {
    kind: "cert_authority",
    version: "v2",
    metadata: { name },
    spec: {
      type: o.type,
      cluster_name: o.cluster,
      active_keys: o.certs.map((cert) => ({ cert })),
      additional_trusted_keys: [],
      ...(o.roleMap && { role_map: o.roleMap }),
    },
  };
  const known = await store.find("cert_authority", name);
  if (JSON.stringify(known?.spec) !== JSON.stringify(resource.spec)) await store.upsert(resource);
}

/** What an authority vouches with now; during a rotation more than one. */
export function certsOf({ spec }: CertAuthority): string[] {
  return [...spec.active_keys, ...spec.additional_trusted_keys].map(({ cert }) => cert);
}

/** Each must be an authority of just that cluster and type: it will vouch for whoever it likes, under that name. */
export function demandAuthorities(certs: readonly string[], cluster: string, type: CaType): void {
  if (certs.length === 0) throw new BadInputError(`cluster ${JSON.stringify(cluster)} names no ${type} authority`);
  for (const cert of certs) {
    const authority = authorityOf(cert);
    if (!isMalformed(authority) && authority.type === type && authority.cluster === cluster) continue;
    throw new BadInputError(`a certificate is not a ${type} authority of cluster ${JSON.stringify(cluster)}`);
  }
}
