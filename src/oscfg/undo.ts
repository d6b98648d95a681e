import { MARK, type ResolvConfPaths } from "./resolv-conf.ts";
import { STYLES } from "./resolvconf.ts";
import { TABLE } from "./table.ts";

/** What VNet may have told a `resolvconf`, and the arguments that take it back. */
const RECORDS = Object.values(STYLES).flatMap(({ records, name, remove }) =>
  records.map((directory) => ({ file: `${directory}/${name}`, remove: remove(name).join(" ") })),
);

/**
 * A shell function `undo` that removes every trace of VNet from the host, also
 * what a crashed run has left, and is harmless where there is none. The guard
 * is a shell so that nothing of ours can be wrong in it, hence there is no
 * second way to undo things.
 */
export function undoScript(options: { ip: string; device: string; paths: ResolvConfPaths }): string {
  const { conf, backup, absent } = options.paths;
  return `
conf=${quote(conf)} backup=${quote(backup)} absent=${quote(absent)} ip=${quote(options.ip)}
is_ours() {
  [ -f "$conf" ] && [ ! -L "$conf" ] && read -r first <"$conf" && case $first in ${quote(MARK)}*) ;; *) false ;; esac
}
undo_resolv_conf() {
  rm -f "$conf".vnet.*
  if ! is_ours; then
    # Somebody else has written it since: it stays as it is.
    rm -f "$backup" "$absent"
  elif [ -e "$backup" ] || [ -L "$backup" ]; then
    cp -aPT "$backup" "$conf.vnet.undo" || return
    mv -fT "$conf.vnet.undo" "$conf" 2>/dev/null || cat "$backup" >"$conf" || return
    rm -f "$conf.vnet.undo" "$backup" "$absent"
  elif [ -e "$absent" ]; then
    rm -f "$conf" 2>/dev/null || : >"$conf"
    rm -f "$absent"
  else
    echo "$conf was made by VNet, and $backup is missing: please write it anew" >&2
    return 1
  fi
}
undo_resolvconf() {
  failed=0
${RECORDS.map(({ file, remove }) => `  [ ! -e ${file} ] || resolvconf ${remove}; [ ! -e ${file} ] || failed=1`).join("\n")}
  return $failed
}
undo_network() {
  for family in -4 -6; do
    "$ip" $family rule flush protocol ${TABLE.protocol}
    "$ip" $family route flush table ${TABLE.id}
  done
  "$ip" link delete dev ${quote(options.device)}
}
undo() {
  result=0
  undo_resolvconf 2>/dev/null || result=1 # It warns where resolv.conf is not its own.
  undo_resolv_conf || result=1
  undo_network 2>/dev/null # Most of it is not there.
  return $result
}
`;
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
