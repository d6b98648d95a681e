import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { messageOf } from "../base/mod.ts";
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
    /** Where what the interfaces said is kept; the second since version 3.13. */
    records: ["/run/resolvconf/interfaces", "/run/resolvconf/keys"],
    name: "tsh-vnet",
  },
  resolvconf: {
    add: (name: string) => ["-a", name],
    remove: (name: string) => ["-d", name],
    records: ["/run/resolvconf/interface"],
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
  readonly #records: readonly string[];

  constructor(
    manager: keyof typeof STYLES,
    run: RunResolvconf,
    conf: string,
    records: readonly string[] = STYLES[manager].records,
  ) {
    this.manager = manager;
    this.#run = run;
    this.#conf = conf;
    this.#records = records;
  }

  async apply(wanted: WantedDns): Promise<void> {
    const { add, name } = STYLES[this.manager];
    let cause: unknown;
    try {
      await this.#run(add(name), `nameserver ${wanted.servers[0]}\n`);
    } catch (error) {
      cause = error; // One of its hooks may have failed, and the rest be done.
    }
    if (await this.isApplied(wanted)) return;
    await this.revert().catch(() => {});
    const reason = cause === undefined ? "" : ` (${messageOf(cause)})`;
    throw new ResolvConfError(`${this.manager} did not put VNet's DNS server first in ${this.#conf}${reason}`, {
      cause,
    });
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
    const files = this.#records.flatMap(filesIn);
    const serversOf = (file: string) => nameservers(read(file));
    const ours = files.filter((file) => basename(file) === name).flatMap(serversOf);
    const told = files.flatMap(serversOf);
    return [...new Set([...nameservers(read(this.#conf)), ...told])].filter((server) => !ours.includes(server));
  }
}

function filesIn(directory: string): string[] {
  try {
    const names = readdirSync(directory).sort();
    return names.map((name) => join(directory, name));
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
