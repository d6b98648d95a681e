import type { Socket } from "node:net";
import {
  assert,
  type ByteStream,
  type Chunk,
  type Lease,
  leasedChunk,
  type ResetReason,
  type StreamHandler,
} from "../base/mod.ts";
import { PieceQueue } from "../link/mod.ts";
import {
  CORK_FROM,
  CREDIT_PATIENCE_MS,
  HALF_CLOSED_PROBE_MS,
  RAW_READ_LEN,
  SOCKET_READ_AHEAD,
  SOCKET_WRITE_WINDOW,
} from "./limits.ts";
import { readPooled } from "./pooled-reads.ts";
import { EndingSocket, resetSocket } from "./socket-end.ts";

const NOTHING = new Uint8Array(0);

/** A connected socket made with `allowHalfOpen: true` as a ByteStream; nothing else may use it any more. */
export function socketStream(socket: Socket): ByteStream {
  return new SocketStream(socket);
}

class SocketStream implements ByteStream {
  readonly #socket: Socket;
  readonly #out: EndingSocket;
  #handler: StreamHandler | undefined;
  #credit = 0;
  /** Read beyond the credit: up to SOCKET_READ_AHEAD and the piece that passes it. */
  readonly #held = new PieceQueue();
  #delivering = false;
  #sawEnd = false;
  #endTold = false;
  #ended = false;
  #dead = false;
  #corked = false;
  #probe: NodeJS.Timeout | undefined;
  /** While credit is waited for. */
  #patience: NodeJS.Timeout | undefined;
  #error: NodeJS.ErrnoException | undefined;

  constructor(socket: Socket) {
    assert(socket.allowHalfOpen, "a stream's socket is made with allowHalfOpen");
    this.#socket = socket;
    this.#out = new EndingSocket(socket);
    socket.setNoDelay(true);
    socket.pause();
    socket.on("error", (error) => {
      this.#error = error;
    });
    socket.on("close", () => this.#onClose());
  }

  open(handler: StreamHandler): void {
    assert(this.#handler === undefined, "a stream is opened once");
    this.#handler = handler;
    const socket = this.#socket;
    queueMicrotask(() => {
      if (this.#dead) return;
      if (socket.destroyed) {
        this.#onClose();
        return;
      }
      socket.on("end", () => this.#onEnd());
      readPooled(socket, "raw", (bytes, lease) => this.#onData(bytes, lease));
      if (!this.#ended) handler.writable(SOCKET_WRITE_WINDOW);
      this.#flow();
    });
  }

  credit(octets: number): void {
    this.#credit += octets;
    this.#deliverHeld();
    this.#flow();
  }

  write(chunk: Chunk): void {
    if (this.#dead || this.#ended) {
      chunk.release();
      return;
    }
    const { length } = chunk.bytes;
    if (length >= CORK_FROM) this.#cork();
    this.#out.write(chunk.bytes, () => {
      chunk.release();
      if (!this.#dead && !this.#ended) this.#handler?.writable(length);
    });
  }

  end(): void {
    if (this.#dead || this.#ended) return;
    this.#ended = true;
    this.#out.end();
    this.#dieIfFinished();
  }

  reset(_reason: ResetReason): void {
    if (this.#dead) return;
    this.#die();
    resetSocket(this.#socket);
  }

  /** Large pieces come in runs (one for each TLS record): held until the turn's end they go in one system call. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    setImmediate(() => {
      this.#corked = false;
      this.#socket.uncork();
    });
  }

  #onData(bytes: Uint8Array, lease: Lease): void {
    if (this.#dead) return;
    if (this.#held.length === 0 && !this.#delivering && bytes.length <= this.#credit) {
      this.#deliver(leasedChunk(bytes, lease));
    } else {
      this.#held.push(bytes, lease);
      this.#deliverHeld();
    }
    if (this.#held.length > SOCKET_READ_AHEAD) this.#socket.pause();
    else if (this.#credit <= 0 && bytes.length >= RAW_READ_LEN) this.#awaitCredit();
  }

  /**
   * More is there for sure. Read when it may be delivered it is still in the
   * core's cache as it goes on; read now it would wait in a buffer. After a
   * while it is read all the same, as an end or a reset may stand behind it.
   */
  #awaitCredit(): void {
    this.#socket.pause();
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined;
      this.#flow();
    }, CREDIT_PATIENCE_MS).unref();
  }

  #deliver(chunk: Chunk): void {
    this.#credit -= chunk.bytes.length;
    this.#handler!.data(chunk);
  }

  #deliverHeld(): void {
    if (this.#handler === undefined || this.#delivering) return;
    this.#delivering = true;
    while (!this.#dead && this.#held.length > 0 && this.#credit > 0) {
      this.#deliver(this.#held.take(this.#credit));
    }
    this.#delivering = false;
    if (this.#sawEnd) this.#tellEnd();
  }

  #flow(): void {
    if (this.#handler === undefined || this.#dead || this.#held.length > SOCKET_READ_AHEAD) return;
    if (this.#socket.isPaused()) this.#socket.resume();
  }

  #onEnd(): void {
    this.#sawEnd = true;
    this.#probe = setInterval(() => this.#probeReset(), HALF_CLOSED_PROBE_MS).unref();
    this.#tellEnd();
  }

  /**
   * After the far end's FIN libuv reads no more, so a RST that follows would go
   * unnoticed until we write. Writing nothing is enough: `send` reports it.
   */
  #probeReset(): void {
    if (this.#dead || this.#ended) clearInterval(this.#probe);
    else if (this.#socket.writableLength === 0) this.#socket.write(NOTHING);
  }

  #tellEnd(): void {
    if (this.#dead || this.#endTold || this.#held.length > 0) return;
    this.#endTold = true;
    this.#handler!.end();
    this.#dieIfFinished();
  }

  #dieIfFinished(): void {
    if (this.#ended && this.#endTold) this.#die();
  }

  #onClose(): void {
    if (this.#dead || this.#handler === undefined) return; // Told when the consumer comes.
    // Both directions ended well; the consumer has yet to take the last octets.
    if (this.#sawEnd && this.#ended && this.#error === undefined) return;
    this.#die();
    this.#handler.reset(reasonOf(this.#error));
  }

  #die(): void {
    this.#dead = true;
    clearInterval(this.#probe);
    clearTimeout(this.#patience);
    this.#held.clear();
  }
}

function reasonOf(error: NodeJS.ErrnoException | undefined): ResetReason {
  switch (error?.code) {
    case "ETIMEDOUT":
      return "timeout";
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return "unreachable";
    default:
      return "peer";
  }
}
