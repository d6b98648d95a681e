import { applyResolvConf, formerServers, isResolvConfApplied, type ResolvConfPaths } from "./resolv-conf.ts";
import type { HostResolver, WantedDns } from "./resolver.ts";

/** VNet's server first in `/etc/resolv.conf` itself, where nobody else keeps that file. */
export class FileResolver implements HostResolver {
  readonly manager = "file";
  readonly #paths: ResolvConfPaths;
  readonly #restore: () => Promise<void>;

  /** `restore` runs `undo_resolv_conf` of `undoScript`. */
  constructor(paths: ResolvConfPaths, restore: () => Promise<void>) {
    this.#paths = paths;
    this.#restore = restore;
  }

  async apply({ servers }: WantedDns): Promise<void> {
    applyResolvConf(this.#paths, servers[0]!);
  }

  /** No longer when somebody has written the file, nor when the servers behind VNet's have changed. */
  async isApplied({ servers }: WantedDns): Promise<boolean> {
    return isResolvConfApplied(this.#paths, servers[0]!);
  }

  async revert(): Promise<void> {
    await this.#restore();
  }

  async upstreams(): Promise<string[]> {
    return formerServers(this.#paths);
  }
}

/** Where nothing can be changed: the person is told what to do, and VNet serves whoever asks it. */
export class NoResolver implements HostResolver {
  readonly manager = "none";
  readonly #paths: ResolvConfPaths;

  constructor(paths: ResolvConfPaths) {
    this.#paths = paths;
  }

  async apply(): Promise<void> {}

  async isApplied(): Promise<boolean> {
    return true;
  }

  async revert(): Promise<void> {}

  async upstreams(): Promise<string[]> {
    return formerServers(this.#paths);
  }
}

/** What a person does where `NoResolver` is all that is left. */
export function byHand({ servers, zones }: WantedDns): string {
  const names = zones.length > 0 ? zones.join(", ") : "VNet's zones";
  return `VNet does not change how this host finds names: send ${names} to the DNS server ${servers.join(" or ")} yourself`;
}
