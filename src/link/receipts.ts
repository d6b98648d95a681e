import type { Clock, Timer } from "../base/mod.ts";
import { encodeFrame } from "./frames.ts";
import { ACK_DELAY_MS, ACK_OCTETS } from "./limits.ts";

/**
 * The acknowledgements this end owes: after 64 KiB or 20 ms, and with whatever
 * else is sent before.
 */
export class Receipts {
  readonly #clock: Clock;
  readonly #due: () => void;
  #received = 0;
  #acknowledged = 0;
  #octets = 0;
  #isDue = false;
  #timer: Timer | undefined;

  /** `due` is called when an acknowledgement should go at once. */
  constructor(clock: Clock, due: () => void) {
    this.#clock = clock;
    this.#due = due;
  }

  /** One numbered frame was taken into memory. */
  taken(octets: number): void {
    this.#received++;
    this.#octets += octets;
    if (this.#octets >= ACK_OCTETS) this.#ask();
    else this.#timer ??= this.#clock.after(ACK_DELAY_MS, () => this.#late());
  }

  /** The ACK to send now; `withOthers`: something else is sent anyway, so it need not be due. */
  next(withOthers: boolean): Uint8Array | undefined {
    if (this.#received === this.#acknowledged || !(withOthers || this.#isDue)) return undefined;
    this.told();
    return encodeFrame({ type: "ack", received: this.#received });
  }

  /** What an ATTACH or its answer says, in place of an ACK. */
  get received(): number {
    return this.#received;
  }

  /** The peer has been told of all that was received. */
  told(): void {
    this.#acknowledged = this.#received;
    this.#isDue = false;
    this.#octets = 0;
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #late(): void {
    this.#timer = undefined;
    if (this.#received > this.#acknowledged) this.#ask();
  }

  #ask(): void {
    this.#isDue = true;
    this.#due();
  }
}
