import { BadInputError, type Kind, type Resource } from "../api/mod.ts";

/** Where a resource's content comes from, as in Teleport: `defaults`, `config-file` or `dynamic`. */
export const ORIGIN_LABEL = "teleport.dev/origin";

/** What the configuration file may set, with the keys by which it does. */
const FILE_KEYS: Readonly<Partial<Record<Kind, string>>> = {
  cluster_auth_preference: "auth_service.authentication",
  cluster_networking_config: "auth_service.client_idle_timeout, link_resume_window or link_transports",
};

/** Throws where the next start would undo the change. */
export function refuseIfFromFile(known: Resource | undefined): void {
  const keys = known && FILE_KEYS[known.kind];
  if (keys === undefined || known?.metadata.labels?.[ORIGIN_LABEL] !== "config-file") return;
  throw new BadInputError(
    `${known.kind} is set by ${keys} in the configuration file of Auth and would be reset at its next start: change it there and restart, or use "tctl create --force" to overwrite it until then`,
  );
}

/** Of what the configuration file may set: that somebody else has set it now. */
export function markDynamic<R extends Resource>(resource: R): R {
  if (FILE_KEYS[resource.kind] === undefined) return resource;
  const { metadata } = resource;
  return { ...resource, metadata: { ...metadata, labels: { ...metadata.labels, [ORIGIN_LABEL]: "dynamic" } } };
}
