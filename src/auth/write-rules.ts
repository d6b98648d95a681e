import { BadInputError, type Resource, type User } from "../api/mod.ts";
import type { Core } from "./core.ts";
import { MAX_GRANTS_LEN } from "./limits.ts";

/** What a schema cannot see: references between resources. Throws `BadInputError`. */
export async function checkWrite(core: Core, resource: Resource): Promise<void> {
  if (resource.kind === "user") await checkUser(core, resource);
}

export async function checkUser(core: Core, user: User): Promise<void> {
  const { roles, traits } = user.spec;
  if (roles.length === 0) throw new BadInputError("a user needs at least one role");
  for (const role of roles) {
    if ((await core.store.find("role", role)) === undefined) {
      throw new BadInputError(`role ${JSON.stringify(role)} does not exist`);
    }
  }
  if (Buffer.byteLength(JSON.stringify([roles, traits ?? {}])) > MAX_GRANTS_LEN) {
    throw new BadInputError(
      `roles and traits together are larger than ${MAX_GRANTS_LEN} octets: no certificate holds them`,
    );
  }
}

/** A role goes only when nobody has it: a missing role locks its users out. */
export async function checkDelete(core: Core, resource: Resource): Promise<void> {
  if (resource.kind !== "role") return;
  const { name } = resource.metadata;
  for await (const user of core.store.each("user")) {
    if (!user.spec.roles.includes(name)) continue;
    throw new BadInputError(`role ${JSON.stringify(name)} is in use by user ${JSON.stringify(user.metadata.name)}`);
  }
}
