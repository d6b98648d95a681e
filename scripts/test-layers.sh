#!/bin/sh
# Packages that would take over this machine's name resolution, for tests that
# put them on hosts of their own: downloaded, unpacked, never installed.
#
#   sh scripts/test-layers.sh      (as root, on Debian)
#
# makes NAME.tar, for each NAME below, in $VNET_TEST_LAYERS or its default. What
# is there already stays, unless the machine's own packages have changed since: a
# layer is a package with what it needs beyond them.
set -eu
dir=${VNET_TEST_LAYERS:-/var/cache/vnet-test-layers}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
machine=$(dpkg-query -W | sha256sum)

download() {
  mkdir -p "$scratch/$1/partial"
  apt-get install --download-only -y -q --no-install-recommends -o APT::Sandbox::User=root \
    -o Dir::Cache::archives="$scratch/$1" "$2" >"$scratch/log" 2>&1
}

layer() {
  tar=$dir/$1.tar
  [ -e "$tar" ] && [ "$(cat "$tar.made-on" 2>/dev/null)" = "$machine" ] && return
  # Lists of packages grow old: then they are fetched anew, once.
  download "$1" "$2" || { apt-get update -q >"$scratch/log" 2>&1 && download "$1" "$2"; } || {
    cat "$scratch/log" >&2
    exit 1
  }
  mkdir -p "$dir" "$scratch/$1/root"
  for package in "$scratch/$1"/*.deb; do
    [ -e "$package" ] || continue # The machine has it all already.
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$scratch/$1/root" \
      --exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale
  done
  tar -c -C "$scratch/$1/root" -f "$tar.new" .
  mv "$tar.new" "$tar"
  echo "$machine" >"$tar.made-on"
  echo "$tar"
}

layer resolved libnss-resolve # and systemd-resolved, which it needs
layer openresolv openresolv
layer resolvconf resolvconf
layer network-manager network-manager
