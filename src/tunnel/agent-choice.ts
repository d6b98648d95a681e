import { SKIP_AGENT_MS } from "./limits.ts";

/** A host that serves an app, by its announcement. */
export interface AgentHost {
  readonly hostId: string;
  /** False where its own checks of the app fail. */
  readonly healthy: boolean;
}

/** What a proxy knows of an agent that is connected to it. */
export interface ConnectedAgent {
  readonly hostId: string;
  readonly clients: number;
  /** Milliseconds, monotonic. */
  readonly failedAt: number;
}

/**
 * Connected agents in the order in which a client is offered to them: by health,
 * then load, then chance. One that lately did not answer comes last, for a
 * while, and is never out for good: without another it is asked all the same.
 * `connected` is in the order of their coming.
 */
export function preferred<A extends ConnectedAgent>(
  hosts: readonly AgentHost[],
  connected: readonly A[],
  now: number,
): A[] {
  const ranked = hosts.flatMap(({ hostId, healthy }) => {
    // A host that has just reconnected may be here twice: the newer one is alive.
    const agents = connected.filter((agent) => agent.hostId === hostId).reverse();
    return agents.map((agent, age) => ({ agent, rank: rankOf(agent, healthy, age, now) }));
  });
  return shuffled(ranked)
    .sort((a, b) => compare(a.rank, b.rank))
    .map(({ agent }) => agent);
}

function rankOf(agent: ConnectedAgent, healthy: boolean, age: number, now: number): number[] {
  const doubtful = age > 0 || now - agent.failedAt < SKIP_AGENT_MS;
  return [doubtful ? 1 : 0, healthy ? 0 : 1, agent.clients];
}

function compare(a: readonly number[], b: readonly number[]): number {
  return a.map((value, i) => value - b[i]!).find((difference) => difference !== 0) ?? 0;
}

/** Fisher–Yates; spreads load over equals, no secret. */
function shuffled<T>(items: readonly T[]): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}
