import type { Format } from "../cli/arguments.ts";
import { printAs } from "../cli/format.ts";
import type { Tsh } from "./session.ts";

/** What a shell must know so that every program in it uses this login: `eval "$(tsh env)"`. */
export async function printEnvironment(tsh: Tsh, o: { unset: boolean; format: Format }): Promise<void> {
  if (o.unset) {
    printAs(o.format, NAMES, () => NAMES.map((name) => `unset ${name}\n`).join(""));
    return;
  }
  const profile = await tsh.validProfile();
  const values = { TELEPORT_PROXY: profile.proxyAddress, TELEPORT_CLUSTER: profile.cluster };
  printAs(o.format, values, () => exportsOf(values));
}

const NAMES = ["TELEPORT_PROXY", "TELEPORT_CLUSTER"];

export function exportsOf(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `export ${name}=${quoted(value)}\n`)
    .join("");
}

/** As a POSIX shell takes it, whatever is in it. */
function quoted(value: string): string {
  return /^[A-Za-z0-9_./:-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}
