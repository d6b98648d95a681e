import { type Kind, parseKind, SINGLETONS, unknownKind } from "../../api/mod.ts";
import { UsageError } from "../cli/program.ts";

export interface ResourceRef {
  readonly kind: Kind;
  /** Absent: all of the kind. */
  readonly name?: string;
}

/** Reads `KIND` or `KIND/NAME`. */
export function parseRef(text: string): ResourceRef {
  const slash = text.indexOf("/");
  const word = slash < 0 ? text : text.slice(0, slash);
  const name = slash < 0 ? undefined : text.slice(slash + 1);
  const kind = parseKind(word);
  if (kind === undefined) throw new UsageError(unknownKind(word));
  if (name === "") throw new UsageError(`"${text}": a name is missing after the slash`);
  const singleton = SINGLETONS[kind];
  if (singleton !== undefined) {
    if (name !== undefined)
      throw new UsageError(`only simple "tctl get ${kind}" can be used: there is only one ${kind}`);
    return { kind, name: singleton };
  }
  return name === undefined ? { kind } : { kind, name };
}

/** Reads `KIND/NAME`, or just `KIND` where there is only one. */
export function parseNamedRef(text: string): Required<ResourceRef> {
  const { kind, name } = parseRef(text);
  if (name === undefined) throw new UsageError(`"${text}" names no resource: expected ${kind}/NAME`);
  return { kind, name };
}

/** How a person is told of a resource: `user "alice"`, or just `vnet_config` where there is only one. */
export function titleOf(kind: Kind, name: string): string {
  switch (kind) {
    case "vnet_config":
      return "vnet_config";
    case "cluster_auth_preference":
      return "cluster auth preference";
    case "cluster_networking_config":
      return "cluster networking configuration";
    case "app":
      return `application "${name}"`;
    case "token":
      return `provision_token "${name}"`;
    case "user":
    case "role":
    case "lock":
    case "app_server":
    case "trusted_cluster":
    case "remote_cluster":
    case "cert_authority":
    case "proxy":
    case "app_session":
      return `${kind} "${name}"`;
  }
}
