/**
 * A cluster in this process, random clients and random faults, for as long as
 * wanted: no octet may be wrong, no stream may be lost, and memory may not grow.
 */
import { Counters, seededRandom, silentLogger, sleep, systemClock } from "../../src/base/mod.ts";
import { AppConnections, ownSessions } from "../../src/client/mod.ts";
import { startTestCluster, type TestCluster } from "../../src/testkit/mod.ts";
import { FlakyWire } from "./flaky-wire.ts";
import { type Chance, randomClient } from "./random-client.ts";

const CLIENTS = 24;
const APP = { name: "echo", publicAddr: "echo.localhost" };
const SAMPLE_MS = 1_000;

export interface SoakResult {
  readonly seconds: number;
  readonly faults: Readonly<Record<string, number>>;
  /** By how they ended. */
  readonly streams: Readonly<Record<string, number>>;
  readonly octets: number;
  readonly wrong: number;
  /** Connections that could not be made, while the proxy was away. */
  readonly refused: number;
  /** Median resident memory, MiB, by thirds. */
  readonly rssMib: readonly [number, number, number];
}

export async function soak(seconds: number, seed: number): Promise<SoakResult> {
  const random = seededRandom(seed);
  const chance: Chance = (bound) => {
    const [a = 0, b = 0, c = 0] = random(3);
    return ((a << 16) | (b << 8) | c) % Math.max(1, bound);
  };
  await using cluster = await startTestCluster();
  await using wire = await FlakyWire.start(() => cluster.proxy.port);
  await cluster.createUser("alice", "correct horse battery");
  const { client: rpc } = await cluster.login("alice", "correct horse battery");
  await using _ = rpc;
  const tally = { faults: new Counters(), streams: new Counters(), octets: 0, wrong: 0, refused: 0 };
  const connections = new AppConnections({ sessions: ownSessions(rpc), proxyAddress: wire.address, log: silentLogger });
  const deadline = systemClock.now() + seconds * 1_000;
  const running = () => systemClock.now() < deadline;

  const clients = async () => {
    while (running()) {
      try {
        const stream = await connections.dial(APP, 0, AbortSignal.timeout(20_000));
        const { how, octets, wrong } = await randomClient(stream, chance);
        tally.streams.count(how);
        tally.octets += octets;
        tally.wrong += Number(wrong);
      } catch {
        tally.refused++;
        await sleep(100);
      }
      await sleep(chance(200));
    }
  };
  const faults = async () => {
    while (running()) {
      await sleep(500 + chance(4_000));
      if (running()) tally.faults.count(await fault(chance, wire, cluster));
    }
  };
  const memory: number[] = [];
  const samples = async () => {
    while (running()) {
      await sleep(SAMPLE_MS);
      memory.push(process.memoryUsage.rss());
    }
  };
  await Promise.all([...Array.from({ length: CLIENTS }, clients), faults(), samples()]);
  await connections.close();
  return {
    seconds,
    ...{ faults: tally.faults.snapshot(), streams: tally.streams.snapshot() },
    ...{ octets: tally.octets, wrong: tally.wrong, refused: tally.refused },
    rssMib: thirds(memory),
  };
}

async function fault(chance: Chance, wire: FlakyWire, cluster: TestCluster): Promise<string> {
  switch (chance(6)) {
    case 0:
      wire.cut(() => chance(2) === 0, "both");
      return "some connections cut";
    case 1:
      wire.cut(() => true, "client");
      return "the client's side cut";
    case 2:
      wire.cut(() => true, "proxy");
      return "the proxy's side cut";
    case 3:
      wire.stall(chance(3_000));
      return "a stall";
    case 4:
      await cluster.proxy.close();
      await sleep(chance(1_500));
      await cluster.startProxy();
      return "the proxy restarted";
    default:
      for (let i = 0; i < 3; i++) {
        wire.cut(() => true, "both");
        await sleep(chance(300));
      }
      return "three cuts in a row";
  }
}

function thirds(values: readonly number[]): [number, number, number] {
  const third = Math.floor(values.length / 3);
  const median = (part: number[]) => (part.sort((a, b) => a - b)[Math.floor(part.length / 2)] ?? 0) / 2 ** 20;
  return [median(values.slice(0, third)), median(values.slice(third, 2 * third)), median(values.slice(2 * third))];
}
