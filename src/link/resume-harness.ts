import { Counters, type Random, randomUint32, silentLogger } from "../base/mod.ts";
import { LinkAcceptor } from "./acceptor.ts";
import { Link } from "./link.ts";
import { echo, TestClock } from "./link-harness.ts";
import { type MemoryCarrier, memoryCarrierPair } from "./memory-carrier.ts";
import type { LinkOptions, OpenRequest } from "./options.ts";

/** A client and an agent, for tests, with carriers between them that are cut as the test says. */
export class ResumablePair {
  readonly clock = new TestClock();
  readonly counters = new Counters();
  readonly acceptor = new LinkAcceptor();
  /** The agent's end of each carrier so far. */
  readonly carriers: { near: MemoryCarrier; far: MemoryCarrier }[] = [];
  readonly client: Link;
  server: Link | undefined;
  readonly #onOpen: (request: OpenRequest) => void;
  readonly #resumeMs: number;
  readonly #transports: number;
  readonly #pieceLen: (() => number) | undefined;

  constructor(
    o: {
      onOpen?: (request: OpenRequest) => void;
      resumeMs?: number;
      transports?: number;
      pieceLen?: () => number;
    } = {},
  ) {
    this.#onOpen = o.onOpen ?? ((request) => echo(request.accept()));
    this.#resumeMs = o.resumeMs ?? 60_000;
    this.#transports = o.transports ?? 1;
    this.#pieceLen = o.pieceLen;
    this.client = Link.client(this.connect(), this.#options(1));
  }

  /** A new carrier, whose far end is the agent's already; the near one is the client's to use. */
  connect(owner = "alice"): MemoryCarrier {
    const [near, far] = memoryCarrierPair(this.#pieceLen ? { pieceLen: this.#pieceLen } : {});
    this.carriers.push({ near, far });
    this.acceptor.accept({
      carrier: far,
      owner,
      options: { ...this.#options(2), onOpen: this.#onOpen },
      onLink: (link) => {
        this.server = link;
      },
      onAttached: () => {},
    });
    return near;
  }

  /** The newest carrier ends at both ends, with all that is under way on it. */
  cut(): void {
    const { near, far } = this.carriers.at(-1)!;
    near.destroy();
    far.destroy();
  }

  #options(instance: number): LinkOptions {
    const { clock, counters } = this;
    const limits = { resumeMs: this.#resumeMs, transports: this.#transports };
    return { clock, counters, log: silentLogger, instance: new Uint8Array(8).fill(instance), ...limits };
  }
}

/** A number below `bound`. */
export function below(random: Random, bound: number): number {
  return randomUint32(random) % bound;
}

/** The clock stands still unless somebody waits for it: then only time helps. */
export async function within<T>(work: Promise<T>, pair: ResumablePair): Promise<T> {
  let over = false;
  void work.finally(() => {
    over = true;
  });
  for (let rounds = 0; !over && rounds < 3000; rounds++) await pair.clock.advance(rounds < 200 ? 20 : 500, 500);
  if (!over) throw new Error("it hangs");
  return work;
}
