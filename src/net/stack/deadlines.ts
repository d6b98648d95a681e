import type { Clock, Timer } from "../../base/mod.ts";

/** Something with a deadline; the two fields are this file's. */
export interface Due {
  expired(now: number): void;
  /** When it is really due, if at all; put off without touching the heap. No infinity: an integer takes no memory of its own. */
  dueMs: number | undefined;
  /** Where the heap has it. */
  heap: { at: number; keyMs: number } | undefined;
}

/**
 * All deadlines of a stack behind one timer: a binary heap. Almost every ACK
 * puts a deadline off, so that costs a store; an entry that comes up too early
 * is only put back.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #heap: Due[] = [];
  #timer: Timer | undefined;
  #timerMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Sets or moves the deadline of `due`; `undefined`: none for now (the entry leaves the heap when it comes up). */
  set(due: Due, atMs: number | undefined): void {
    due.dueMs = atMs;
    if (atMs === undefined) return;
    if (due.heap === undefined) {
      due.heap = { at: this.#heap.length, keyMs: atMs };
      this.#heap.push(due);
      this.#up(due.heap.at);
    } else if (atMs < due.heap.keyMs) {
      due.heap.keyMs = atMs;
      this.#up(due.heap.at);
    } else {
      return;
    }
    this.#arm();
  }

  /** The owner ends: nothing here refers to it any more. */
  delete(due: Due): void {
    const { heap } = due;
    if (heap === undefined) return;
    due.heap = undefined;
    const last = this.#heap.pop()!;
    if (last === due) return;
    this.#heap[heap.at] = last;
    last.heap!.at = heap.at;
    this.#up(heap.at);
    this.#down(last.heap!.at);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const due of this.#heap.splice(0)) due.heap = undefined;
  }

  #arm(): void {
    const first = this.#heap[0]?.heap?.keyMs;
    if (first === undefined || (this.#timer !== undefined && this.#timerMs <= first)) return;
    this.#timer?.cancel();
    this.#timerMs = first;
    this.#timer = this.#clock.after(Math.max(0, first - this.#clock.now()), () => this.#fire());
  }

  #fire(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    for (let first = this.#heap[0]; first?.heap !== undefined && first.heap.keyMs <= now; first = this.#heap[0]) {
      if (first.dueMs === undefined) {
        this.delete(first);
      } else if (first.dueMs <= now) {
        this.delete(first);
        first.expired(now);
      } else {
        first.heap.keyMs = first.dueMs;
        this.#down(0);
      }
    }
    this.#arm();
  }

  #up(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#key(parent) <= this.#key(at)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #down(from: number): void {
    let at = from;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= this.#heap.length) return;
      const right = left + 1;
      const least = right < this.#heap.length && this.#key(right) < this.#key(left) ? right : left;
      if (this.#key(at) <= this.#key(least)) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #key(at: number): number {
    return this.#heap[at]!.heap!.keyMs;
  }

  #swap(a: number, b: number): void {
    const one = this.#heap[a]!;
    const other = this.#heap[b]!;
    this.#heap[a] = other;
    this.#heap[b] = one;
    other.heap!.at = a;
    one.heap!.at = b;
  }
}
