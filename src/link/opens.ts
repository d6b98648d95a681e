import { assert, type Clock, type Malformed, malformed } from "../base/mod.ts";
import { LinkOpenTimeoutError, LinkRefusedError } from "./errors.ts";
import type { Frame } from "./frames.ts";
import type { OpenRequest } from "./options.ts";
import type { LinkStream } from "./stream.ts";

interface Waiting {
  opened(window: number): void;
  failed(error: unknown): void;
}

/** The client's OPENs that wait for their answers. */
export class PendingOpens {
  readonly #waiting = new Map<number, Waiting>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.size;
  }

  has(id: number): boolean {
    return this.#waiting.has(id);
  }

  /** Resolves with OPENED; resets the stream when it gives up. */
  answerTo(stream: LinkStream, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#waiting.delete(stream.id);
        timer.cancel();
        signal?.removeEventListener("abort", onAbort);
      };
      const failed = (error: unknown) => {
        settle();
        reject(error);
      };
      const giveUp = (error: unknown) => {
        stream.reset("timeout");
        failed(error);
      };
      const onAbort = () => giveUp(signal?.reason);
      const timer = this.#clock.after(timeoutMs, () => giveUp(new LinkOpenTimeoutError(timeoutMs)));
      signal?.addEventListener("abort", onAbort);
      const opened = (window: number) => {
        settle();
        stream.begin(window);
        resolve();
      };
      this.#waiting.set(stream.id, { opened, failed });
    });
  }

  onAnswer(frame: Extract<Frame, { type: "opened" | "refused" }>, stream: LinkStream): Malformed | undefined {
    const open = this.#waiting.get(frame.stream);
    if (open === undefined) return malformed("link.second-answer");
    if (frame.type === "opened") {
      open.opened(frame.window);
    } else {
      open.failed(new LinkRefusedError(frame.code, frame.text));
      stream.onReset("refused");
    }
    return undefined;
  }

  fail(error: Error): void {
    for (const open of [...this.#waiting.values()]) open.failed(error);
  }
}

/** A server's OPEN, from its arrival until its answer is sent. */
export class Request implements OpenRequest {
  readonly port: number;
  readonly streamId: number;
  readonly #stream: LinkStream;
  readonly #window: number;
  readonly #abort = new AbortController();
  #answered = false;

  constructor(frame: Extract<Frame, { type: "open" }>, stream: LinkStream) {
    this.port = frame.port;
    this.streamId = frame.stream;
    this.#window = frame.window;
    this.#stream = stream;
  }

  get aborted(): AbortSignal {
    return this.#abort.signal;
  }

  abort(reason: Error): void {
    this.#abort.abort(reason);
  }

  accept(): LinkStream {
    this.#answerOnce();
    const stream = this.#stream;
    if (!stream.dead) {
      stream.owe({ type: "opened", stream: stream.id, window: stream.initialWindow });
      stream.begin(this.#window);
    }
    return stream;
  }

  refuse(code: Parameters<OpenRequest["refuse"]>[0], message: string): void {
    this.#answerOnce();
    if (!this.#stream.dead) this.#stream.refuse(code, message);
  }

  #answerOnce(): void {
    assert(!this.#answered, "an OPEN is answered once");
    this.#answered = true;
  }
}
