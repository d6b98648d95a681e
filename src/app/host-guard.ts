import {
  type ByteStream,
  type Chunk,
  type Clock,
  encodeUtf8,
  plainChunk,
  type ResetReason,
  type StreamHandler,
  type Timer,
} from "../base/mod.ts";
import { HostCheck, type HostVerdict } from "./host-check.ts";
import { REFUSED_REQUEST_MS } from "./limits.ts";

export interface HostGuardOptions {
  /** Names of the app. */
  readonly allowed: readonly string[];
  readonly clock: Clock;
  /** Once, with what was wrong. */
  refused(detail: string): void;
}

/** What a browser is told. It says nothing of the app: a foreign page may be reading. */
const ANSWERS = {
  misdirected: answer("421 Misdirected Request"),
  "too-large": answer("431 Request Header Fields Too Large"),
};
/** Octets of the client's allowance kept back until the verdict, so that the answer can always be sent. */
const RESERVE = 512;

/** The client's stream, whose first octets reach the consumer only once `HostCheck` has nothing against them. */
export function hostGuarded(stream: ByteStream, options: HostGuardOptions): ByteStream {
  return new GuardedStream(stream, options);
}

class GuardedStream implements ByteStream {
  readonly #stream: ByteStream;
  /** Until the verdict. */
  #options: HostGuardOptions | undefined;
  #check: HostCheck | undefined;
  #handler: StreamHandler | undefined;
  readonly #held: Chunk[] = [];
  #reserved = 0;
  #refused = false;
  #ended = false;
  #timer: Timer | undefined;

  constructor(stream: ByteStream, options: HostGuardOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#check = new HostCheck(options.allowed);
  }

  open(handler: StreamHandler): void {
    this.#handler = handler;
    this.#stream.open({
      data: (chunk) => this.#onData(chunk),
      end: () => this.#onEnd(),
      reset: (reason) => this.#onReset(reason),
      writable: (octets) => this.#onWritable(octets),
    });
  }

  credit(octets: number): void {
    if (!this.#refused) this.#stream.credit(octets);
  }

  write(chunk: Chunk): void {
    if (this.#refused) chunk.release();
    else this.#stream.write(chunk);
  }

  end(): void {
    this.#ended = true;
    if (!this.#refused) this.#stream.end();
  }

  reset(reason: ResetReason): void {
    this.#drop();
    if (!this.#refused) this.#stream.reset(reason);
  }

  #onData(chunk: Chunk): void {
    if (this.#check === undefined && !this.#refused) {
      this.#handler!.data(chunk);
    } else if (this.#refused) {
      // Read on, so that a client in the middle of a body comes to its answer.
      this.#stream.credit(chunk.bytes.length);
      chunk.release();
    } else {
      this.#held.push(chunk);
      this.#settle(this.#check!.push(chunk.bytes));
    }
  }

  #onEnd(): void {
    this.#timer?.cancel();
    if (this.#refused) return;
    if (this.#check !== undefined) this.#settle(this.#check.end());
    if (!this.#refused) this.#handler!.end();
  }

  #onReset(reason: ResetReason): void {
    this.#timer?.cancel();
    this.#drop();
    if (!this.#refused) this.#handler!.reset(reason);
  }

  #onWritable(octets: number): void {
    if (this.#refused) return;
    const kept = this.#check === undefined ? 0 : Math.min(octets, RESERVE - this.#reserved);
    this.#reserved += kept;
    if (octets > kept) this.#handler!.writable(octets - kept);
  }

  #settle(verdict: HostVerdict): void {
    if (verdict.kind === "refused") this.#refuse(verdict);
    else if (verdict.kind !== "pending" || !verdict.held) this.#pass(verdict.kind === "pending");
  }

  /** What was held goes on; `undecided`: what follows is looked at too. */
  #pass(undecided: boolean): void {
    if (!undecided) {
      this.#check = undefined;
      this.#options = undefined;
    }
    // A call may end the stream in between.
    for (let chunk = this.#held.shift(); chunk !== undefined; chunk = this.#held.shift()) this.#handler!.data(chunk);
    const reserved = undecided ? 0 : this.#reserved;
    this.#reserved -= reserved;
    if (reserved > 0) this.#handler!.writable(reserved);
  }

  #refuse(verdict: Extract<HostVerdict, { kind: "refused" }>): void {
    this.#refused = true;
    this.#check = undefined;
    const octets = this.#held.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#drop();
    const { refused, clock } = this.#options!;
    refused(verdict.detail);
    this.#handler!.reset("refused");
    const bytes = ANSWERS[verdict.status];
    // The app has ended its half already, or the client takes nothing.
    if (this.#ended || this.#reserved < bytes.length) {
      this.#stream.reset("refused");
      return;
    }
    this.#stream.write(plainChunk(bytes));
    this.#stream.end();
    this.#stream.credit(Math.max(octets, 1));
    this.#timer = clock.after(REFUSED_REQUEST_MS, () => this.#stream.reset("refused"));
  }

  #drop(): void {
    for (const chunk of this.#held.splice(0)) chunk.release();
  }
}

function answer(status: string): Uint8Array {
  const body = "This name does not lead to an app here. An administrator can allow it: http_host_check.\n";
  const head = [
    `HTTP/1.1 ${status}`,
    "Content-Type: text/plain; charset=utf-8",
    "X-Content-Type-Options: nosniff",
    `Content-Length: ${body.length}`,
    "Cache-Control: no-store",
    "Connection: close",
  ];
  return encodeUtf8(`${head.join("\r\n")}\r\n\r\n${body}`);
}
