import type { RoleMap } from "../api/mod.ts";
import { MAX_EXPANSION, MAX_MATCH_LEN } from "./patterns.ts";

/**
 * The leaf's own roles that a root's roles are worth there, each once. `*` in
 * `remote` stands for any text; `$1`, `$2` … in `local` repeat what the first,
 * second … star stood for. A role that no entry names is worth nothing.
 */
export function mapRoles(map: RoleMap, remoteRoles: readonly string[]): string[] {
  const mapped = new Set<string>();
  for (const role of remoteRoles.slice(0, MAX_EXPANSION)) {
    for (const { remote, local } of map) {
      const stars = capture(remote.split("*"), role);
      if (stars === undefined) continue;
      for (const name of local) mapped.add(name.replaceAll(/\$(\d)/g, (_, index) => stars[Number(index) - 1] ?? ""));
    }
  }
  mapped.delete("");
  return [...mapped].slice(0, MAX_EXPANSION);
}

/** What stands for each star between `pieces`, each as short as can be; `undefined` where the text does not fit. */
function capture(pieces: readonly string[], text: string): string[] | undefined {
  if (text.length > MAX_MATCH_LEN || !text.startsWith(pieces[0]!)) return undefined;
  const stars: string[] = [];
  let at = pieces[0]!.length;
  for (const [i, piece] of pieces.entries()) {
    if (i === 0) continue;
    const last = i === pieces.length - 1;
    const found = last ? text.length - piece.length : text.indexOf(piece, at);
    if (found < at || !text.startsWith(piece, found)) return undefined;
    stars.push(text.slice(at, found));
    at = found + piece.length;
  }
  return at === text.length ? stars : undefined;
}
