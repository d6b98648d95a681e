import { messageOf } from "../../src/base/mod.ts";
import type { FaultCluster } from "./fault-cluster.ts";
import type { Fault } from "./faults.ts";
import type { Result } from "./live-streams.ts";

/** The bound for what does not survive. */
export const RESET_WITHIN_MS = 15_000;

export interface FaultResult extends Result {
  readonly name: string;
  readonly seconds: number;
  /** pgbench's count of transactions, where it ran. */
  readonly transactions?: number;
  /** What was not as it must be. */
  readonly problems: readonly string[];
}

/** One fault under `streams` live connections, and pgbench beside them where asked for. */
export async function inflict(
  cluster: FaultCluster,
  fault: Fault,
  o: { streams: number; seconds: number; pgbench: boolean },
): Promise<FaultResult> {
  const problems: string[] = [];
  const live = await cluster.liveStreams(o.streams);
  const bench = o.pgbench ? await cluster.pgbench(o.seconds + 10) : undefined;
  try {
    live.fault();
    await fault.inflict(cluster, o.seconds).catch((error: unknown) => problems.push(messageOf(error)));
    await live.flowing().catch((error: unknown) => problems.push(messageOf(error).split("\n")[0] ?? ""));
  } finally {
    await fault.mend?.(cluster);
  }
  const result = await live.stop();
  const said = await bench?.said;
  const transactions = said && /number of transactions actually processed: (\d+)/.exec(said)?.[1];
  if (result.wrong > 0) problems.push(`${result.wrong} wrong octets`);
  if (result.hung > 0) problems.push(`${result.hung} streams hang`);
  if (fault.survives === "all") {
    if (result.whole !== o.streams) problems.push(`${o.streams - result.whole} streams lost`);
    if (said !== undefined && (transactions === undefined || !/failed transactions: 0 /.test(said))) {
      problems.push(`pgbench: ${said.trim().split("\n").at(-1)}`);
    }
  } else if (result.resetMs > RESET_WITHIN_MS) {
    problems.push(`the last reset came after ${result.resetMs} ms`);
  }
  return {
    ...result,
    name: fault.name,
    seconds: o.seconds,
    ...(transactions && { transactions: Number(transactions) }),
    problems,
  };
}
