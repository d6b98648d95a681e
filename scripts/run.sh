#!/bin/sh
# npm's scripts start here, on any Node: installs what is missing, then runs
# the TypeScript file given as first argument on Node 26.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/packages.sh"
cd "$root"
PATH=$root/node_modules/.bin:$PATH
exec "$node" --disable-warning=ExperimentalWarning "$@"
