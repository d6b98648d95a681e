import { setTimeout as wait } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { connectionsWork } from "./aftermath.ts";
import { Attack } from "./attack.ts";

export interface HostileResult {
  seed: number;
  frames: number;
  seconds: number;
  /** The first exception; there should be none. */
  exception: string | undefined;
  connectionsRight: number;
  /** Octets of heap after a forced collection: afterwards less before. */
  growth: number;
  heldAfter: number;
  heldMax: number;
  accepted: number;
  taken: number;
  emitted: number;
  counters: Record<string, number>;
}

/** Frames of the warm-up: compiled code and grown tables are not what is looked for. */
const WARM_UP = 50_000;
const STEP = 10_000;

/** An attack of `frames` frames in this thread, and what is left of it. */
export async function hostileRun(seed: number, frames: number, connections: number): Promise<HostileResult> {
  const attack = new Attack(seed);
  let exception: string | undefined;
  const attempt = (count: number) => {
    try {
      attack.run(count);
    } catch (error) {
      exception ??= `after ${attack.counters.get("test.frames")} frames: ${(error as Error).stack}`;
    }
    attack.counters.count("test.frames", count);
  };
  attempt(Math.min(WARM_UP, frames));
  attack.calm();
  await connectionsWork(attack, Math.min(connections, 100));
  attack.divert = undefined;
  attack.serve = undefined;
  attack.calm();
  const before = await heap();
  const started = performance.now();
  for (let done = Math.min(WARM_UP, frames); done < frames && exception === undefined; done += STEP) {
    attempt(Math.min(STEP, frames - done));
    await Promise.resolve();
  }
  const seconds = (performance.now() - started) / 1000;
  attack.calm();
  const { accepted, taken, heldMax, emitted } = attack;
  const connectionsRight = await connectionsWork(attack, connections);
  attack.calm();
  const growth = (await heap()) - before;
  const counters = attack.counters.snapshot();
  return {
    seed,
    frames,
    seconds,
    exception,
    connectionsRight,
    growth,
    heldAfter: attack.held,
    heldMax,
    accepted,
    taken,
    emitted,
    counters,
  };
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

async function heap(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    collect();
    await wait(20); // array buffers go in the background
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
