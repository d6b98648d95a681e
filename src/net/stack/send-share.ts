import { limits } from "../tcp/mod.ts";
import { SENDERS_MS } from "./limits.ts";

export interface Sender {
  /** When it last wrote; `SendShare`'s. */
  period: number;
}

/**
 * How much each connection may hold, written and not acknowledged: together no
 * more than the processor's caches do. Those count that have written lately, as
 * one whose text is all acknowledged is about to write again.
 */
export class SendShare {
  #period = 0;
  #senders = 0;
  #sendersBefore = 0;

  wrote(sender: Sender, now: number): void {
    const period = Math.floor(now / SENDERS_MS);
    if (period !== this.#period) {
      this.#sendersBefore = period === this.#period + 1 ? this.#senders : 0;
      this.#senders = 0;
      this.#period = period;
    }
    if (sender.period === period) return;
    sender.period = period;
    this.#senders++;
  }

  /** Octets of one connection. */
  get octets(): number {
    const share = Math.floor(limits.SEND_BUFFERS / Math.max(1, this.#senders, this.#sendersBefore));
    return Math.max(limits.SEND_BUFFER_MIN, Math.min(limits.SEND_BUFFER, share));
  }
}
