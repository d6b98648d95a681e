import { type ByteStream, Counters, type Random, seededRandom, systemClock } from "../base/mod.ts";
import { Stack, type StackOptions } from "../net/stack/mod.ts";

export interface StackPairOptions {
  offload?: StackOptions["offload"];
  mtu?: number;
  v6?: boolean;
  clock?: StackOptions["clock"];
  /** Chance that a frame is lost. */
  loss?: number;
  /** Chance that a frame changes places with a later one. */
  reorder?: number;
  /** Chance that a frame comes twice. */
  duplicate?: number;
  seed?: number;
  /** Called after each turn in which frames crossed. */
  schedule?: (run: () => void) => void;
}

export interface StackPair {
  client: Stack;
  server: Stack;
  counters: Counters;
  /** Opens a connection: the client's end first. */
  connect(): Promise<[ByteStream, ByteStream]>;
  close(): void;
  /** Frames whose memory was not given back yet. */
  held(): number;
}

const CLIENT4 = Uint8Array.of(100, 64, 0, 1);
const SERVER4 = Uint8Array.of(100, 64, 0, 2);
const CLIENT6 = Uint8Array.from([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
const SERVER6 = Uint8Array.from([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);

/** Frames taken in one turn, as a TUN's reader does. */
const BURST = 64;

/** Two stacks back to back; each accepts whatever the other asks for. */
export function stackPair(o: StackPairOptions = {}): StackPair {
  const random = seededRandom(o.seed ?? 1);
  const counters = new Counters();
  const accepted: ((stream: ByteStream) => void)[] = [];
  let held = 0;
  let port = 1024;
  const make = (wire: () => Wire): Stack =>
    new Stack({
      clock: o.clock ?? systemClock,
      random,
      counters,
      mtu: o.mtu ?? 1500,
      offload: o.offload ?? { checksum: true, tso: true },
      emit: (frame) => wire().send(frame),
      isLocal: () => true,
      mayTalk: () => true,
      handlers: {
        tcp: (attempt) => accepted.shift()?.(attempt.accept()),
        udp: () => false,
        echo: () => true,
      },
    });
  const take = (stack: Stack, frame: Uint8Array) => {
    held++;
    stack.input({
      bytes: frame,
      release: () => {
        held--;
        frame.fill(0xee);
      },
    });
  };
  const client: Stack = make(() => toServer);
  const server: Stack = make(() => toClient);
  const toServer = new Wire(o, random, (frame) => take(server, frame), server);
  const toClient = new Wire(o, random, (frame) => take(client, frame), client);
  const [near, far] = o.v6 ? [CLIENT6, SERVER6] : [CLIENT4, SERVER4];
  return {
    client,
    server,
    counters,
    async connect() {
      const arriving = new Promise<ByteStream>((resolve) => accepted.push(resolve));
      const leaving = client.connect({ address: near, port: port++ }, { address: far, port: 80 });
      return Promise.all([leaving, arriving]);
    },
    close() {
      client.close();
      server.close();
      toServer.close();
      toClient.close();
    },
    held: () => held,
  };
}

/** One direction: frames are copied and cross in a later turn. */
class Wire {
  readonly #o: StackPairOptions;
  readonly #random: Random;
  readonly #receive: (frame: Uint8Array) => void;
  readonly #stack: Stack;
  #queue: Uint8Array[] = [];
  #scheduled = false;
  #closed = false;

  constructor(o: StackPairOptions, random: Random, receive: (frame: Uint8Array) => void, stack: Stack) {
    this.#o = o;
    this.#random = random;
    this.#receive = receive;
    this.#stack = stack;
  }

  send(frame: Uint8Array): void {
    if (this.#closed || this.#happens(this.#o.loss)) return;
    this.#queue.push(frame.slice());
    if (this.#happens(this.#o.duplicate)) this.#queue.push(frame.slice());
    if (this.#queue.length > 1 && this.#happens(this.#o.reorder)) {
      const at = this.#random(1)[0]! % this.#queue.length;
      this.#queue.splice(at, 0, ...this.#queue.splice(-1));
    }
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    this.#queue = [];
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    (this.#o.schedule ?? setImmediate)(() => {
      this.#scheduled = false;
      const burst = this.#queue.splice(0, BURST);
      for (const frame of burst) this.#receive(frame);
      this.#stack.drained();
      if (this.#queue.length > 0) this.#schedule();
    });
  }

  #happens(chance: number | undefined): boolean {
    if (chance === undefined || chance === 0) return false;
    const [high, low] = this.#random(2);
    return (high! * 256 + low!) / 65_536 < chance;
  }
}
