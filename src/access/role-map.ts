import { isRegexPattern, MAX_ENTRIES, parseRegex, quoteRegex, type RoleMap } from "../api/mod.ts";
import { isMalformed } from "../base/mod.ts";

/**
 * The leaf's own roles that a root's roles are worth there, each once, as in
 * Teleport: `remote` is a name, has `*` for any text, or is a `^regex$`; `$1`,
 * `$2` … in `local` repeat its stars or groups. A role that no entry names is
 * worth nothing, and so is an entry that cannot be understood.
 */
export function mapRoles(map: RoleMap, remoteRoles: readonly string[]): string[] {
  const mapped = new Set<string>();
  for (const { remote, local } of map) {
    const regex = parseRegex(isRegexPattern(remote) ? remote : `^${remote.split("*").map(quoteRegex).join("(.*)")}$`);
    if (isMalformed(regex)) continue;
    for (const role of remoteRoles.filter((name) => regex.test(name))) {
      for (const name of local) mapped.add(regex.replaceAll(role, name));
    }
  }
  mapped.delete("");
  return [...mapped].slice(0, MAX_ENTRIES);
}
