import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/**
 * The octets of every transfer: this block over and over. A prime length, so
 * that no loss or repetition of whole buffers goes unseen.
 */
const BLOCK = pseudoRandom(1_048_573);
/** Twice, so that every piece up to a block's length is one comparison. */
const PATTERN = Buffer.concat([BLOCK, BLOCK]);
const PIECE_LEN = 64 * 1024;
const REQUEST_LEN = 9; // mode, f64 length

const MODES = { up: 1, down: 2, echo: 3 } as const;

function pseudoRandom(length: number): Buffer {
  let state = 0x9e3779b9;
  return Buffer.from(
    Uint8Array.from({ length }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return state;
    }),
  );
}

/** Counts a transfer's octets and compares each with what it must be. */
class Verifier {
  #at = 0;

  take(piece: Uint8Array): void {
    const from = this.#at % BLOCK.length;
    if (Buffer.compare(PATTERN.subarray(from, from + piece.length), piece) !== 0) throw new Error("octets differ");
    this.#at += piece.length;
  }

  get count(): number {
    return this.#at;
  }
}

function send(socket: Socket, length: number): void {
  let at = 0;
  const more = () => {
    while (at < length) {
      const from = at % BLOCK.length;
      const piece = PATTERN.subarray(from, from + Math.min(PIECE_LEN, length - at));
      at += piece.length;
      if (!socket.write(piece)) return;
    }
    socket.off("drain", more);
  };
  socket.on("drain", more);
  more();
}

/** The app: sinks, sources and echoes; returns its port. */
export async function startApp(): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => {});
    socket.once("data", (first: Buffer) => {
      const length = first.readDoubleBE(1);
      const rest = first.subarray(REQUEST_LEN);
      if (first[0] === MODES.down) send(socket, length);
      else if (first[0] === MODES.echo) echo(socket, rest);
      else sink(socket, length, rest);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  server.unref();
  return (server.address() as AddressInfo).port;
}

function echo(socket: Socket, first: Buffer): void {
  if (first.length > 0) socket.write(first);
  socket.on("data", (piece: Buffer) => socket.write(piece));
}

function sink(socket: Socket, length: number, first: Buffer): void {
  const verifier = new Verifier();
  const take = (piece: Buffer) => {
    verifier.take(piece);
    if (verifier.count === length) socket.write("k");
  };
  if (first.length > 0) take(first);
  socket.on("data", take);
}

function request(mode: keyof typeof MODES, length: number): Buffer {
  const octets = Buffer.alloc(REQUEST_LEN);
  octets[0] = MODES[mode];
  octets.writeDoubleBE(length, 1);
  return octets;
}

/** Moves `length` octets and resolves when the last has been compared. */
export function transfer(port: number, mode: "up" | "down", length: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const verifier = new Verifier();
  const socket = connect({
    host: "127.0.0.1",
    port,
    noDelay: true,
    onread: {
      buffer: new Uint8Array(PIECE_LEN),
      callback: (count, buffer) => {
        if (mode === "down") verifier.take(buffer.subarray(0, count));
        if (mode === "up" || verifier.count === length) done();
        return true;
      },
    },
  });
  const done = () => {
    socket.destroy();
    resolve();
  };
  socket.on("error", reject);
  socket.on("close", () => reject(new Error("the connection ended early")));
  socket.write(request(mode, length));
  if (mode === "up") send(socket, length);
  return promise;
}

/** One connection on which single octets go to and fro. */
export class Echo implements Disposable {
  readonly #socket: Socket;

  constructor(port: number) {
    this.#socket = connect({ host: "127.0.0.1", port, noDelay: true });
    this.#socket.write(request("echo", 0));
  }

  /** Milliseconds. */
  roundTrip(): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const start = performance.now();
    this.#socket.once("close", reject);
    this.#socket.once("data", () => {
      this.#socket.off("close", reject);
      resolve(performance.now() - start);
    });
    this.#socket.write("x");
    return promise;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

/** Connects, waits for one octet's echo, closes. */
export async function connection(port: number): Promise<void> {
  using echo = new Echo(port);
  await echo.roundTrip();
}
