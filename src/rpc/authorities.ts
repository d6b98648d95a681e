import type { CertAuthority } from "../api/mod.ts";
import type { CaType } from "../pki/mod.ts";

/**
 * The certificates (PEM) that a cluster's authority of one type vouches with
 * now, during a rotation more than one; `known` while the cluster has not been
 * heard of.
 */
export function authorityCerts(
  authorities: readonly CertAuthority[],
  o: { type: CaType; cluster: string; known: readonly string[] },
): readonly string[] {
  const authority = authorities.find(({ spec }) => spec.type === o.type && spec.cluster_name === o.cluster);
  if (authority === undefined) return o.known;
  const { active_keys, additional_trusted_keys } = authority.spec;
  return [...active_keys, ...additional_trusted_keys].map((key) => key.cert);
}
