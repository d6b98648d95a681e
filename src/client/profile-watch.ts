import { type FSWatcher, watch } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { PROFILE_POLL_MS, PROFILE_SETTLE_MS } from "./limits.ts";

/**
 * Calls `changed` soon after a login or logout, of whichever program: when files of
 * profiles in `home` come, go or are replaced; and `tick` every `PROFILE_POLL_MS`.
 * Does not keep the process alive.
 */
export class ProfileWatch implements Disposable {
  readonly #home: string;
  readonly #changed: () => void;
  readonly #watcher: FSWatcher | undefined;
  readonly #poll: NodeJS.Timeout;
  #settle: NodeJS.Timeout | undefined;
  #seen: string | undefined;

  constructor(home: string, o: { changed(): void; tick(): void }) {
    this.#home = home;
    this.#changed = o.changed;
    this.#watcher = this.#watch();
    this.#poll = setInterval(() => {
      o.tick();
      void this.#look();
    }, PROFILE_POLL_MS).unref();
    void this.#look();
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
    clearInterval(this.#poll);
    clearTimeout(this.#settle);
  }

  /** A login replaces the profile's file last, after the keys: the directory itself is enough. */
  #watch(): FSWatcher | undefined {
    try {
      const watcher = watch(this.#home, { persistent: false }, () => this.#soon());
      watcher.on("error", () => watcher.close()); // The poll remains.
      return watcher;
    } catch {
      return undefined; // No such directory yet, or no watches left.
    }
  }

  async #look(): Promise<void> {
    const stamps = await stampsOf(this.#home);
    if (this.#seen !== undefined && this.#seen !== stamps) this.#soon();
    this.#seen = stamps;
  }

  #soon(): void {
    clearTimeout(this.#settle);
    this.#settle = setTimeout(this.#changed, PROFILE_SETTLE_MS).unref();
  }
}

async function stampsOf(home: string): Promise<string> {
  const entries = await readdir(home).catch(() => [] as string[]);
  const profiles = entries.filter((entry) => entry.endsWith(".yaml") || entry === "current-profile").sort();
  const stamps = profiles.map(async (entry) => {
    const found = await stat(path.join(home, entry)).catch(() => undefined);
    return `${entry} ${found?.ino} ${found?.mtimeMs}`;
  });
  return (await Promise.all(stamps)).join("\n");
}
