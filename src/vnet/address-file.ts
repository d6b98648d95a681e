import { readFileSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { type Clock, isMalformed, type Logger, messageOf, parseIp, type Timer } from "../base/mod.ts";
import type { SavedName } from "./assignments.ts";
import { ADDRESS_FILE_DELAY_MS, MAX_ASSIGNMENTS } from "./limits.ts";

const isIp = (text: string) => !isMalformed(parseIp(text));

const schema = z.strictObject({
  version: z.literal(1),
  /** An address of VNet's own IPv6 /64. */
  tun_ipv6: z.string().startsWith("fd").refine(isIp),
  names: z
    .array(z.strictObject({ host: z.string().max(255), ipv4: z.ipv4(), released: z.iso.datetime().optional() }))
    .max(MAX_ASSIGNMENTS),
});

type Content = z.infer<typeof schema>;

/** What VNet needs in order to keep its addresses from run to run. */
export interface AddressStore {
  readonly names: readonly SavedName[];
  /** Something has changed; `names` is asked for when it is time to write. */
  changed(names: () => readonly SavedName[]): void;
}

/**
 * The addresses of names, and the IPv6 prefix, in a file of the user's (0600, in a
 * directory 0700). Several VNets of a user share it: each keeps what the others
 * wrote. Readers see the old file or the new one, never a part; a damaged file
 * is a fresh start, with a warning.
 */
export class AddressFile implements AddressStore, AsyncDisposable {
  readonly names: readonly SavedName[];
  /** An address of the /64 of earlier runs. */
  readonly v6Prefix: string | undefined;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #prefix: string | undefined;
  #next: (() => readonly SavedName[]) | undefined;
  #timer: Timer | undefined;
  #writing = Promise.resolve();

  constructor(path: string, o: { clock: Clock; log: Logger }) {
    this.#path = path;
    this.#clock = o.clock;
    this.#log = o.log;
    const content = this.#readAtStart();
    this.names = content ? savedNames(content) : [];
    this.v6Prefix = content?.tun_ipv6;
  }

  /** The prefix that this run has, for the next; said before the first change. */
  setPrefix(v6: string): void {
    this.#prefix = v6;
  }

  changed(names: () => readonly SavedName[]): void {
    this.#next = names;
    this.#timer ??= this.#clock.after(ADDRESS_FILE_DELAY_MS, () => void this.#flush());
  }

  /** Resolves when the last change is written. */
  async close(): Promise<void> {
    await this.#flush();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    const names = this.#next;
    this.#next = undefined;
    if (names) this.#writing = this.#writing.then(() => this.#write(names()));
    return this.#writing;
  }

  async #write(names: readonly SavedName[]): Promise<void> {
    try {
      const others = await readFile(this.#path, "utf8").then(parse, () => undefined);
      const content = merged(names, others, this.v6Prefix ?? others?.tun_ipv6 ?? this.#prefix ?? "fd00::");
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
      const temporary = `${this.#path}.${process.pid}.new`;
      await writeFile(temporary, `${JSON.stringify(content, null, 1)}\n`, { mode: 0o600, flush: true });
      await rename(temporary, this.#path);
    } catch (error) {
      this.#log.warn({ file: this.#path }, `addresses will be others at the next start: ${messageOf(error)}`);
    }
  }

  #readAtStart(): Content | undefined {
    let text: string;
    try {
      text = readFileSync(this.#path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") this.#warn(error);
      return undefined;
    }
    try {
      return schema.parse(JSON.parse(text));
    } catch (error) {
      this.#warn(error);
      return undefined;
    }
  }

  #warn(error: unknown): void {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    this.#log.warn({ file: this.#path, reason }, `${this.#path} is damaged; names get new addresses`);
  }
}

function parse(text: string): Content | undefined {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function savedNames(content: Content): SavedName[] {
  return content.names.map(({ host, ipv4, released }) => ({
    host,
    v4: ipv4,
    ...(released !== undefined && { released: Date.parse(released) }),
  }));
}

/** Ours, and what others wrote that ours does not contradict. */
function merged(names: readonly SavedName[], others: Content | undefined, prefix: string): Content {
  const hosts = new Set(names.map(({ host }) => host));
  const addresses = new Set(names.map(({ v4 }) => v4));
  const own = names.map(({ host, v4, released }) => ({
    host,
    ipv4: v4,
    ...(released !== undefined && { released: new Date(released).toISOString() }),
  }));
  const kept = (others?.names ?? []).filter(({ host, ipv4 }) => !hosts.has(host) && !addresses.has(ipv4));
  return { version: 1, tun_ipv6: prefix, names: [...own, ...kept].slice(0, MAX_ASSIGNMENTS) };
}
