/**
 * Debian packages on a host of the test's own, unpacked from tar files that
 * `scripts/test-layers.sh` has made: they would take over this machine's name
 * resolution if they were installed.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Machine } from "./hosts.ts";

export const LAYERS = ["resolved", "openresolv", "resolvconf", "network-manager"] as const;
export type Layer = (typeof LAYERS)[number];

/** Why the layer cannot be used, or undefined when it can. */
export function lackingLayer(layer: Layer): string | undefined {
  return existsSync(fileOf(layer)) ? undefined : "sh scripts/test-layers.sh";
}

/** Puts the layer's files on a host that may be wrecked; its maintainer scripts do not run. */
export async function installLayer(machine: Machine, layer: Layer): Promise<void> {
  // /lib and the like are links into /usr there, and directories in packages.
  await machine.execOk(["tar", "-x", "-C", "/", "--keep-directory-symlink"], { input: await readFile(fileOf(layer)) });
}

function fileOf(layer: Layer): string {
  return join(process.env.VNET_TEST_LAYERS || "/var/cache/vnet-test-layers", `${layer}.tar`);
}
