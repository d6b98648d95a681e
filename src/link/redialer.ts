import { type Clock, type Logger, messageOf } from "../base/mod.ts";
import type { Carrier } from "./carrier.ts";
import { AGENT_GONE_MS, REDIAL_MAX_MS, REDIAL_MIN_MS, SILENCE_CREDIT_MS } from "./limits.ts";
import type { Link } from "./link.ts";

export interface RedialerOptions {
  readonly link: Link;
  readonly clock: Clock;
  readonly log: Logger;
  /** Another carrier to the same agent process; `refused`: the last one brought no answer, perhaps for its certificate. */
  dial(signal: AbortSignal, refused: boolean): Promise<Carrier>;
  /** Whether a failed `dial` has found that the agent is not there, and not merely nothing. */
  isAgentMissing(error: unknown): boolean;
  /** Between 0 and 1. */
  readonly chance?: () => number;
}

/** Finds new carriers for a client's link: in place of lost ones, of worn ones, and for further transports. */
export class Redialer {
  readonly #options: RedialerOptions;
  /** Transports that somebody is looking for a carrier for. */
  readonly #busy = new Set<number>();
  /** Those of them that want one more afterwards. */
  readonly #again = new Set<number>();
  /** Of each attempt, or of the pause before it: a changed network begins them anew. */
  readonly #waits = new Set<AbortController>();

  /** `link` is ready. */
  constructor(options: RedialerOptions) {
    this.#options = options;
    const { link } = options;
    link.onCarriers({
      // The proxy may have noticed the agent's silence first, and have ended the carrier.
      detached: (transport, silentMs) => this.#bring(transport, Math.min(SILENCE_CREDIT_MS, silentMs)),
      worn: (transport) => this.#bring(transport),
    });
    void link.closed.then(() => this.#interrupt("the link has ended"));
    if (link.maxTransports > 1) this.#bring(1);
  }

  /** Carriers show soon whether they live; attempts begin anew, without a pause. */
  networkChanged(): void {
    this.#options.link.probe();
    this.#interrupt("the network has changed");
  }

  /** Brings a new carrier in place of each living one, which serves until then: those to come are better. */
  replaceAll(): void {
    const { link } = this.#options;
    for (let id = 0; link.stateOf(id) !== "none"; id++) {
      // What is on its way may have been asked for too early.
      if (this.#busy.has(id)) this.#again.add(id);
      else this.#bring(id);
    }
  }

  #interrupt(why: string): void {
    for (const wait of [...this.#waits]) wait.abort(new Error(why));
  }

  /** `creditMs`: how long the agent counts as missing already, should it turn out to be. */
  #bring(transport: number, creditMs = 0): void {
    if (this.#busy.has(transport)) return;
    this.#busy.add(transport);
    void this.#try(transport, AGENT_GONE_MS - creditMs).finally(() => {
      this.#busy.delete(transport);
      this.#next(transport);
    });
  }

  /** What the end of a search leaves to be done. */
  #next(transport: number): void {
    const { link } = this.#options;
    if (link.ended) return;
    const state = link.stateOf(transport);
    const again = this.#again.delete(transport);
    if (again || state === "detached") this.#bring(transport); // Or lost again in the same turn.
    const more = transport + 1;
    if (state === "attached" && more < link.maxTransports && link.stateOf(more) === "none") this.#bring(more);
  }

  async #try(transport: number, goneMs: number): Promise<void> {
    const { link, clock, log, isAgentMissing, chance = Math.random } = this.#options;
    let goneAt: number | undefined;
    const last = { refused: false };
    for (let delayMs = REDIAL_MIN_MS; !link.ended; delayMs = Math.min(REDIAL_MAX_MS, delayMs * 2)) {
      const pauseMs = Math.min(delayMs * (0.5 + chance() / 2), Math.max(0, (goneAt ?? Infinity) - clock.now()));
      const interrupted = await this.#pause(pauseMs);
      if (link.ended) return;
      if (interrupted) delayMs = REDIAL_MIN_MS;
      try {
        await this.#attempt(transport, last);
        return;
      } catch (error) {
        if (link.ended) return;
        log.debug({ link: link.id, transport, error: messageOf(error) }, "no new connection for a link yet");
        const state = link.stateOf(transport);
        // While a carrier lives, so does the agent.
        goneAt = isAgentMissing(error) && state !== "attached" ? (goneAt ?? clock.now() + goneMs) : undefined;
        if (goneAt === undefined || clock.now() < goneAt) continue;
        if (state !== "none") link.giveUp(`the app's agent is not there any more: ${messageOf(error)}`);
        return;
      }
    }
  }

  async #attempt(transport: number, last: { refused: boolean }): Promise<void> {
    const { link, dial } = this.#options;
    const carrier = await this.#interruptible((signal) => dial(signal, last.refused));
    if (link.ended) return carrier.destroy();
    last.refused = true; // Unless it is taken.
    await link.attach(transport, carrier);
  }

  /** True where something has ended it early. */
  #pause(ms: number): Promise<boolean> {
    return this.#interruptible(
      (signal) =>
        new Promise((resolve) => {
          const timer = this.#options.clock.after(ms, () => resolve(false));
          signal.addEventListener("abort", () => {
            timer.cancel();
            resolve(true);
          });
        }),
    );
  }

  async #interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const wait = new AbortController();
    this.#waits.add(wait);
    try {
      return await work(wait.signal);
    } finally {
      this.#waits.delete(wait);
    }
  }
}
