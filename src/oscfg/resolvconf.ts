import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ResolvConfError } from "./errors.ts";
import { nameservers } from "./resolv-conf.ts";
import type { HostResolver, WantedDns } from "./resolver.ts";

/** Runs `resolvconf` with this standard input. @throws {OsCommandError} */
export type RunResolvconf = (args: readonly string[], input: string) => Promise<void>;

/** How the two programs called `resolvconf` differ. */
export const STYLES = {
  openresolv: {
    // Exclusive: glibc gets no other server, and the others' changes are kept for the end.
    add: (name: string) => ["-m", "0", "-x", "-a", name],
    remove: (name: string) => ["-f", "-d", name],
    /** Where both keep what the interfaces said. */
    records: "/run/resolvconf/interfaces",
    name: "tsh-vnet",
  },
  resolvconf: {
    add: (name: string) => ["-a", name],
    remove: (name: string) => ["-d", name],
    records: "/run/resolvconf/interface",
    // By `tun*` of interface-order it comes before those of Ethernet and wireless devices.
    name: "tun.tsh-vnet",
  },
} as const;

/**
 * VNet's server first, told as one more interface's. Where the administrator
 * has settings by which it would not be first, this fails, and `apply` says so.
 */
export class Resolvconf implements HostResolver {
  readonly manager: keyof typeof STYLES;
  readonly #run: RunResolvconf;
  readonly #conf: string;
  readonly #records: string;

  constructor(
    manager: keyof typeof STYLES,
    run: RunResolvconf,
    conf: string,
    records: string = STYLES[manager].records,
  ) {
    this.manager = manager;
    this.#run = run;
    this.#conf = conf;
    this.#records = records;
  }

  async apply(wanted: WantedDns): Promise<void> {
    const { add, name } = STYLES[this.manager];
    await this.#run(add(name), `nameserver ${wanted.servers[0]}\n`);
    if (await this.isApplied(wanted)) return;
    await this.revert();
    throw new ResolvConfError(`${this.manager} did not put VNet's DNS server first in ${this.#conf}`);
  }

  async isApplied(wanted: WantedDns): Promise<boolean> {
    const text = read(this.#conf);
    return nameservers(text)[0] === wanted.servers[0] && !/^options\s.*\brotate\b/m.test(text);
  }

  async revert(): Promise<void> {
    const { remove, name } = STYLES[this.manager];
    await this.#run(remove(name), "");
  }

  async upstreams(): Promise<string[]> {
    const { name } = STYLES[this.manager];
    const others = list(this.#records).filter((record) => record !== name);
    const ours = nameservers(read(join(this.#records, name)));
    const told = others.flatMap((record) => nameservers(read(join(this.#records, record))));
    return [...new Set([...nameservers(read(this.#conf)), ...told])].filter((server) => !ours.includes(server));
  }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return []; // Nobody has told anything yet.
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
