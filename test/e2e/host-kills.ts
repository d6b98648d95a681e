/**
 * kill -9 of VNet's processes and of systemd-resolved at random moments, from the
 * start of `tsh vnet` on: what runs afterwards, and what is left.
 */
import assert from "node:assert/strict";
import { randomUint32, seededRandom, sleep } from "../../src/base/mod.ts";
import { ResolvedHost } from "../../src/testkit/mod.ts";
import { clientAddress, LaptopVnet, within } from "./host-vnet.ts";

const AGENT = "10.77.0.30";
/** The host is as before (issue; DESIGN, invariant 9). */
const RESTORE_MS = 1_000;
/** From `tsh vnet` to the kill: the start takes about half of it on an idle machine. */
const MAX_DELAY_MS = 1_500;

const PARTS = ["launcher", "user process", "guard", "systemd-resolved"] as const;
export type Part = (typeof PARTS)[number];

/** Who is killed together. */
const VICTIMS: readonly (readonly Part[])[] = [
  ["launcher"],
  ["user process"],
  ["guard"],
  ["systemd-resolved"],
  ["launcher", "user process"],
  ["launcher", "systemd-resolved"],
  ["launcher", "guard"],
  ["launcher", "user process", "guard"],
];

export interface Kill {
  readonly victims: readonly Part[];
  /** Those of them that were there. */
  readonly found: readonly Part[];
  /** After the start of `tsh vnet`. */
  readonly delayMs: number;
  readonly outcome: "host as before" | "VNet goes on" | "cleaned up by the next start";
  /** From the kill to that. */
  readonly afterMs: number;
}

export interface KillsOptions {
  readonly seed: number;
  readonly count: number;
  /** Ends early after so long. */
  readonly budgetMs?: number;
  tell?(kill: Kill): void;
}

/** @throws {AssertionError} at the first kill after which the host is not as it should be */
export async function killAtRandom(o: KillsOptions): Promise<Kill[]> {
  const random = seededRandom(o.seed);
  const below = (limit: number) => randomUint32(random) % limit;
  await using laptop = await LaptopVnet.prepare();
  await using _ = await ResolvedHost.start(laptop.root, { server: "198.51.100.1", nss: true });
  const host = new Victim(laptop);
  await host.remember();
  const kills: Kill[] = [];
  const since = performance.now();
  while (kills.length < o.count && performance.now() - since < (o.budgetMs ?? Number.POSITIVE_INFINITY)) {
    const kill = await host.killOnce(VICTIMS[below(VICTIMS.length)]!, below(MAX_DELAY_MS));
    kills.push(kill);
    o.tell?.(kill);
  }
  return kills;
}

class Victim {
  readonly #laptop: LaptopVnet;
  #before = "";

  constructor(laptop: LaptopVnet) {
    this.#laptop = laptop;
  }

  async remember(): Promise<void> {
    this.#before = await this.#snapshot();
  }

  async killOnce(victims: readonly Part[], delayMs: number): Promise<Kill> {
    const vnet = this.#laptop.alice.spawn("tsh vnet", ["sudo", "tsh", "vnet"]);
    await sleep(delayMs);
    const found = await this.#kill(victims);
    const since = performance.now();
    const kill = { victims, found, delayMs };
    const ended = found.includes("launcher") || found.includes("user process");
    if (ended && !found.includes("guard")) {
      const afterMs = await this.#restored(since);
      await vnet.exited;
      return { ...kill, outcome: "host as before", afterMs };
    }
    if (ended) await vnet.exited;
    else await this.#works(vnet, since);
    const afterMs = Math.round(performance.now() - since);
    // Where the guard was killed as well, the next start cleans up, and the one after that finds nothing of it.
    const last = ended ? await this.#laptop.start() : vnet;
    if (ended) assert.equal(await clientAddress(this.#laptop.alice), AGENT);
    assert.deepEqual(await last.stop("SIGINT"), { code: 0, signal: null }, last.output);
    await this.#restored(performance.now());
    return { ...kill, outcome: ended ? "cleaned up by the next start" : "VNet goes on", afterMs };
  }

  /** The host's names at once, VNet's as soon as it is ready. */
  async #works(vnet: Awaited<ReturnType<LaptopVnet["start"]>>, since: number): Promise<void> {
    await this.#resolves(since);
    await vnet.waitFor(/^VNet is ready\.\s*$/m);
    const found = async () => (await this.#laptop.root.exec(["getent", "ahostsv4", "tcp-app.company.test"])).code === 0;
    await within(RESTORE_MS, found).catch((cause: unknown) => {
      throw new Error(`VNet is ready, and its names are not found:\n${vnet.output}`, { cause });
    });
    assert.equal(await clientAddress(this.#laptop.alice), AGENT);
  }

  async #restored(since: number): Promise<number> {
    await this.#resolves(since);
    let now = await this.#snapshot();
    while (now !== this.#before && performance.now() - since < RESTORE_MS) {
      await sleep(20);
      now = await this.#snapshot();
    }
    assert.equal(now, this.#before);
    const ms = Math.round(performance.now() - since);
    await within(RESTORE_MS, async () => (await this.#laptop.running()).length === 0);
    return ms;
  }

  async #resolves(since: number): Promise<void> {
    const found = async () => (await this.#laptop.root.exec(["getent", "ahostsv4", "upstream.example.org"])).code === 0;
    await within(Math.max(0, since + RESTORE_MS - performance.now()), found);
  }

  /** Network, files, and what systemd-resolved knows. */
  async #snapshot(): Promise<string> {
    const { stdout } = await this.#laptop.root.exec(["resolvectl", "--no-pager", "domain"]);
    return `${await this.#laptop.snapshot()}${stdout}`;
  }

  async #kill(victims: readonly Part[]): Promise<Part[]> {
    const pids = await this.#pids();
    const found = victims.filter((part) => pids.has(part));
    const ours = found.flatMap((part) => pids.get(part) ?? []);
    await this.#laptop.root.exec(["kill", "-KILL", ...ours]);
    return found;
  }

  async #pids(): Promise<Map<Part, string>> {
    const script = `cd /proc; for pid in [0-9]*; do echo "$pid $(tr '\\0\\n' '  ' <$pid/cmdline)"; done 2>/dev/null`;
    const lines = (await this.#laptop.root.exec(["sh", "-c", script])).stdout.split("\n");
    const patterns: Record<Part, RegExp> = {
      // Not sudo, whose arguments end in the same words.
      launcher: /^(\d+) \S*node .*tsh\.ts vnet $/,
      "user process": /^(\d+) \S*node .*tsh\.ts .*vnet-user-process /,
      guard: /^(\d+) \S*sh -c .*vnet-guard (clean-up|take-over) /,
      "systemd-resolved": /^(\d+) \/lib\/systemd\/systemd-resolved $/,
    };
    const pids = new Map<Part, string>();
    for (const part of PARTS) {
      const pid = lines.map((line) => patterns[part].exec(line)?.[1]).find((match) => match !== undefined);
      if (pid !== undefined) pids.set(part, pid);
    }
    return pids;
  }
}
