import { isMalformed } from "../../src/base/mod.ts";
import { ACK, decodeIp, decodeTcp, FIN, protocol, SYN, VIRTIO_HEADER_LEN } from "../../src/net/wire/mod.ts";

/** Towards the stack, or out of it. */
export type Direction = "in" | "out";

/** What became of a frame: a set of bits. */
export const fate = { LOST: 1, CORRUPTED: 2, TRUNCATED: 4, REFUSED: 8, DUPLICATED: 16, REORDERED: 32 } as const;

/** The receiver never got it, or could not use it. */
const GONE = fate.LOST | fate.CORRUPTED | fate.TRUNCATED | fate.REFUSED;

/** A pause is measured by two processes' clocks, and told after the frame that ended it. */
const CLOCK_MS = 60;

/** Columns of a row. */
const AT_MS = 0;
const IS_OUT = 1;
const FATE = 2;
const SEQ = 3;
const LENGTH = 4; // with SYN and FIN
const ACK_NUMBER = 5;
const FLAGS = 6;
const WIDTH = 7;

export interface Pause {
  /** Of the octets that did not come. */
  readonly direction: Direction;
  /** Milliseconds since 1970. */
  readonly startMs: number;
  readonly endMs: number;
}

export interface Explanation {
  readonly explained: boolean;
  readonly text: string;
}

/** All decisions of a shim in the order of their making. */
export class DecisionLog {
  #rows = new Float64Array(WIDTH * 4096);
  #length = 0;
  readonly #now: () => number;

  constructor(now: () => number = wallMs) {
    this.#now = now;
  }

  /** The row's number, for `mark`. */
  add(direction: Direction, frame: Uint8Array, what: number): number {
    if (this.#length === this.#rows.length) {
      const larger = new Float64Array(2 * this.#length);
      larger.set(this.#rows);
      this.#rows = larger;
    }
    const at = this.#length;
    this.#length += WIDTH;
    const rows = this.#rows;
    rows[at + AT_MS] = this.#now();
    rows[at + IS_OUT] = direction === "out" ? 1 : 0;
    rows[at + FATE] = what;
    const ip = decodeIp(frame, VIRTIO_HEADER_LEN);
    if (isMalformed(ip) || ip.protocol !== protocol.TCP) return at / WIDTH;
    const seg = decodeTcp(frame, ip.bodyAt, ip.end);
    if (isMalformed(seg)) return at / WIDTH;
    rows[at + SEQ] = seg.seq;
    rows[at + LENGTH] = seg.textLen + (seg.flags & SYN ? 1 : 0) + (seg.flags & FIN ? 1 : 0);
    rows[at + ACK_NUMBER] = seg.flags & ACK ? seg.ack : -1;
    rows[at + FLAGS] = seg.flags;
    return at / WIDTH;
  }

  mark(row: number, what: number): void {
    this.#rows[row * WIDTH + FATE]! |= what;
  }

  /** How often each thing happened. */
  totals(): Record<string, number> {
    const totals: Record<string, number> = { frames: this.#length / WIDTH };
    for (let at = 0; at < this.#length; at += WIDTH) {
      for (const [name, bit] of Object.entries(fate)) {
        if (this.#rows[at + FATE]! & bit) totals[name.toLowerCase()] = (totals[name.toLowerCase()] ?? 0) + 1;
      }
    }
    return totals;
  }

  /**
   * Why nothing came for so long: every transmission of the octet that was
   * missing must have been lost but the one that ended the pause. Where the
   * sender was waiting for leave (a closed window), what was lost are ACKs.
   */
  explain(pause: Pause): Explanation {
    const seconds = ((pause.endMs - pause.startMs) / 1000).toFixed(2);
    const missing = this.#missing(pause);
    const sent = this.#transmissions(pause, missing);
    const lost = sent.filter((row) => this.#rows[row + FATE]! & GONE);
    const came = (row: number) => (this.#rows[row + FATE]! & GONE) === 0;
    // Of the handshake one side's SYN may come long before the other's.
    const arrived = missing === undefined ? sent.findLast(came) : sent.find(came);
    const arrivedMs = arrived === undefined ? pause.endMs : this.#rows[arrived + AT_MS]!;
    const acksLost = this.#acksLost(pause);
    const what = missing === undefined ? "the SYN" : `octet ${missing}`;
    const times = lost.map((row) => `${((this.#rows[row]! - pause.startMs) / 1000).toFixed(2)} s`).join(", ");
    const text = `${seconds} s without progress ${pause.direction}: ${what} lost ${lost.length} times (at ${times}), arrived at ${((arrivedMs - pause.startMs) / 1000).toFixed(2)} s; ${acksLost} ACKs lost`;
    const late = pause.endMs - arrivedMs > 1000;
    return { explained: (lost.length > 0 || acksLost > 0) && !late, text };
  }

  /** What the receiver asked for in the middle of the pause. */
  #missing(pause: Pause): number | undefined {
    const middle = (pause.startMs + pause.endMs) / 2;
    const reverse = pause.direction === "in" ? 1 : 0;
    for (let at = this.#length - WIDTH; at >= 0; at -= WIDTH) {
      const row = this.#rows.subarray(at, at + WIDTH);
      if (row[AT_MS]! <= middle && row[IS_OUT] === reverse && row[LENGTH] !== undefined && row[ACK_NUMBER]! > 0) {
        return row[FLAGS]! & SYN ? undefined : row[ACK_NUMBER];
      }
    }
    return undefined;
  }

  /** Every sending of the octet up to the pause's end; of the handshake, every SYN either way. */
  #transmissions(pause: Pause, missing: number | undefined): number[] {
    const found: number[] = [];
    const way = pause.direction === "out" ? 1 : 0;
    for (let at = 0; at < this.#length; at += WIDTH) {
      const atMs = this.#rows[at + AT_MS]!;
      if (atMs > pause.endMs + CLOCK_MS) break;
      if (missing === undefined) {
        if (this.#rows[at + FLAGS]! & SYN) found.push(at);
        continue;
      }
      if (this.#rows[at + IS_OUT] !== way || this.#rows[at + LENGTH] === 0) continue;
      const into = (missing - this.#rows[at + SEQ]!) >>> 0;
      if (into < this.#rows[at + LENGTH]!) found.push(at);
    }
    return found;
  }

  #acksLost(pause: Pause): number {
    const reverse = pause.direction === "in" ? 1 : 0;
    let lost = 0;
    for (let at = 0; at < this.#length; at += WIDTH) {
      const atMs = this.#rows[at + AT_MS]!;
      if (atMs < pause.startMs - CLOCK_MS || atMs > pause.endMs) continue;
      if (this.#rows[at + IS_OUT] === reverse && this.#rows[at + FATE]! & GONE) lost++;
    }
    return lost;
  }
}

/** The same clock in every process of the machine. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}
