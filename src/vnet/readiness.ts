import type { Clock, Random, Timer } from "../base/mod.ts";
import {
  CLOCK_JUMP_MS,
  PROBE_TIMEOUT_MS,
  READY_RETRIES,
  READY_RETRY_MS,
  READY_TICK_MS,
  UNREADY_RETRY_MS,
} from "./limits.ts";
import { newProbe } from "./probe.ts";

export interface ReadinessOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** The addresses of a name, as this machine's own resolver finds them; none where the name does not exist. */
  lookup(name: string): Promise<readonly string[]>;
  /** A zone that the resolver should send to VNet; `undefined` where there is none. */
  zone(): string | undefined;
  /** With what VNet answers a probe. */
  readonly answer: string;
  /** How the machine's network looks, as text: when it changes, the way is tried again. */
  network(): string;
  /** Brings the wanted state of the host about again. */
  mend(): Promise<void>;
  /** Called at each change: without a reason the names are found, with it they are not, and why. */
  tell(problem: string | undefined): void;
}

/**
 * Makes sure, by asking for a name that only VNet knows, that this machine's own
 * resolver asks VNet: at the start, and whenever something may have changed that
 * (a suspended machine that goes on, a clock that was set, another network). What
 * it finds broken it has mended, and tries again.
 */
export class Readiness {
  readonly #options: ReadinessOptions;
  #told: string | undefined = "not tried yet";
  #again = Promise.withResolvers<void>();
  #tick: Timer | undefined;
  #lastTick = { now: 0, wallMs: 0, network: "" };
  /** Ends each pause that is under way. */
  readonly #pauses = new Set<() => void>();
  #closed = false;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** Resolves at the end only; rejects never. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = () => this.#close();
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    this.#lastTick = this.#look();
    this.#scheduleTick();
    while (!this.#closed) {
      await this.#checkAndMend();
      if (this.#closed) break;
      // Out of order: somebody else may mend it. In order: until there is a reason to doubt that.
      const waits = [this.#again.promise, ...(this.#told === undefined ? [] : [this.#pause(UNREADY_RETRY_MS)])];
      await Promise.race(waits);
      this.#again = Promise.withResolvers();
      if (this.#closed) this.#again.resolve();
    }
    signal.removeEventListener("abort", stop);
  }

  async #checkAndMend(): Promise<void> {
    let problem = await this.#check();
    for (let i = 0; problem !== undefined && i < READY_RETRIES && !this.#closed; i++) {
      // Once, and then patience: a resolver may need a moment to follow.
      if (i === 0) await this.#options.mend().catch(() => {}); // It has told the person itself.
      await this.#pause(READY_RETRY_MS);
      problem = await this.#check();
    }
    if (this.#closed || problem === this.#told) return;
    this.#told = problem;
    this.#options.tell(problem);
  }

  /** Why names are not found, if they are not. */
  async #check(): Promise<string | undefined> {
    const zone = this.#options.zone();
    if (zone === undefined) return undefined;
    const late = this.#pause(PROBE_TIMEOUT_MS).then(() => undefined);
    const found = await Promise.race([this.#options.lookup(newProbe(zone, this.#options.random)), late]);
    if (found === undefined) return `it does not answer questions for names below ${zone}`;
    if (found.includes(this.#options.answer)) return undefined;
    return found.length === 0
      ? `it does not ask VNet for names below ${zone}`
      : `somebody else answers for names below ${zone}, with ${found[0]}`;
  }

  /** Shorter where the end comes first. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        timer.cancel();
        this.#pauses.delete(finish);
        resolve();
      };
      const timer = this.#options.clock.after(ms, finish);
      this.#pauses.add(finish);
    });
  }

  #look(): { now: number; wallMs: number; network: string } {
    const { clock, network } = this.#options;
    return { now: clock.now(), wallMs: clock.wallMs(), network: network() };
  }

  #scheduleTick(): void {
    if (this.#closed) return;
    this.#tick = this.#options.clock.after(READY_TICK_MS, () => {
      const last = this.#lastTick;
      const next = this.#look();
      this.#lastTick = next;
      // The monotonic clock stands still while the machine sleeps, the other one goes on.
      const jump = Math.abs(next.wallMs - last.wallMs - (next.now - last.now));
      if (jump > CLOCK_JUMP_MS || next.network !== last.network) this.#again.resolve();
      this.#scheduleTick();
    });
  }

  #close(): void {
    this.#closed = true;
    for (const finish of [...this.#pauses]) finish();
    this.#tick?.cancel();
    this.#again.resolve();
  }
}
