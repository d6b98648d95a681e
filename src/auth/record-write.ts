import { type App, type Lock, maskedToken, type Resource, type Token, type User } from "../api/mod.ts";
import type { CallContext } from "../rpc/mod.ts";
import { actorOf, type Core, record } from "./core.ts";

export type WriteVerb = "create" | "update" | "delete";

/** The audit event of a write that was allowed. `error`: it failed all the same. Hosts' heartbeats are none. */
export async function recordWrite(
  core: Core,
  verb: WriteVerb,
  resource: Resource,
  context: CallContext,
  error?: string,
): Promise<void> {
  const { name, expires } = resource.metadata;
  const common = {
    ...actorOf(context),
    name,
    ...(expires !== undefined && { expires }),
    success: error === undefined,
    ...(error !== undefined && { error }),
  };
  switch (resource.kind) {
    case "user":
      return recordUser(core, verb, resource, common);
    case "role":
      return record(core, ROLE_EVENTS[verb], common);
    case "token":
      return recordToken(core, verb, resource, common);
    case "lock":
      return recordLock(core, verb, resource, common);
    case "app":
      return recordApp(core, verb, resource, common);
    case "vnet_config":
      return record(core, `vnet.config.${verb}`, common);
    case "cluster_auth_preference":
      return record(core, "auth_preference.update", common);
    case "trusted_cluster":
      return record(core, verb === "delete" ? "trusted_cluster.delete" : "trusted_cluster.create", common);
    case "cluster_networking_config":
      return record(core, "networking_config.update", common);
    case "app_server":
    case "proxy":
    case "app_session":
    case "cert_authority":
    case "remote_cluster":
      return;
  }
}

const ROLE_EVENTS = { create: "role.created", update: "role.updated", delete: "role.deleted" } as const;

type Common = ReturnType<typeof actorOf> & { name: string; expires?: string; success: boolean; error?: string };

function recordUser(core: Core, verb: WriteVerb, user: User, common: Common): Promise<void> {
  if (verb === "delete") return record(core, "user.delete", common);
  return record(core, `user.${verb}`, { ...common, roles: user.spec.roles });
}

function recordToken(core: Core, verb: WriteVerb, token: Token, common: Common): Promise<void> {
  const fields = { ...common, name: maskedToken(common.name), roles: token.spec.roles, join_method: "token" };
  return record(core, `join_token.${verb}`, fields);
}

/** As in Teleport, a lock that was replaced is a lock that was created. */
function recordLock(core: Core, verb: WriteVerb, { spec }: Lock, common: Common): Promise<void> {
  if (verb === "delete") return record(core, "lock.deleted", common);
  const { target, message } = spec;
  const named = Object.entries(target).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return record(core, "lock.created", {
    ...common,
    target: Object.fromEntries(named),
    ...(message !== undefined && { message }),
  });
}

function recordApp(core: Core, verb: WriteVerb, app: App, common: Common): Promise<void> {
  if (verb === "delete") return record(core, "app.delete", common);
  const { public_addr, uri } = app.spec;
  return record(core, `app.${verb}`, {
    ...common,
    app_uri: uri,
    ...(public_addr !== undefined && { app_public_addr: public_addr }),
    ...(app.metadata.labels && { app_labels: app.metadata.labels }),
  });
}
