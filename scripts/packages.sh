# Sourced by the launchers and npm's scripts, with $root set: makes sure that
# node_modules is there and answers package-lock.json, and sets $node to a
# Node 26. Only npm is needed beforehand, with whatever Node it runs on.

find_node() {
  node=$root/node_modules/.bin/node
  [ -x "$node" ] && return 0
  # npm had no binary for this machine: a Node of its own will do, if it is new enough.
  node=$(command -v node) || return 1
  [ "$("$node" -p 'Number(process.versions.node.split(".")[0]) >= 26')" = true ]
}

packages_current() {
  [ -f "$root/node_modules/.package-lock.json" ] &&
    [ ! "$root/package-lock.json" -nt "$root/node_modules/.package-lock.json" ]
}

install_packages() {
  if ! command -v npm >/dev/null; then
    echo "ERROR: npm is missing; it installs this program's packages and its Node 26 (apt-get install npm)" >&2
    exit 1
  fi
  echo "Installing npm packages into $root/node_modules ..." >&2
  # Two programs started at once must not install at once.
  (
    if command -v flock >/dev/null; then flock 9; fi
    packages_current || (cd "$root" && npm ci --loglevel=error --no-progress >&2)
  ) 9>"$root/.npm-ci.lock" || exit 1
}

packages_current || install_packages
if ! find_node; then
  echo "ERROR: no Node 26: npm has a binary for Linux on x64 and arm64 only; elsewhere put node 26 into PATH" >&2
  exit 1
fi
