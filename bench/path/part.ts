import type { AppSession, HostCredentials } from "../../src/tunnel/mod.ts";

/** What a process of the path is told at its start. */
export interface ProxyStart {
  readonly credentials: HostCredentials;
  readonly sessions: readonly AppSession[];
}
export interface AgentStart {
  readonly credentials: HostCredentials;
  readonly userCas: readonly string[];
  readonly proxyPort: number;
  readonly targetPort: number;
}
export interface ClientStart {
  /** Each leads to an entry of its own. */
  readonly sessions: readonly AppSession[];
  readonly proxyPort: number;
  /** As `tsh vnet` or as `tsh proxy app`. */
  readonly entry: "tun" | "ports";
}

/** Where a path begins. */
export interface Entry {
  readonly host: string;
  readonly port: number;
}
export interface ClientAnswer {
  readonly entries: readonly Entry[];
  /** Makes a link for each connection. */
  readonly cold: Entry;
}

/** Octets. */
export interface Memory {
  readonly rss: number;
  /** Live objects and what they hold outside of the heap. */
  readonly heap: number;
}

/** A process of the path: answers the first message with what `run` resolves with, "memory" with what it takes. */
export function serve<Start>(run: (start: Start) => Promise<unknown>): void {
  process.on("message", (message: Start | "memory") => {
    if (message === "memory") process.send!(memory());
    else void run(message).then((answer) => process.send!(answer ?? null));
  });
  process.on("disconnect", () => process.exit(0));
  process.send!("up");
}

/** After what V8 does when memory is short; an idle process comes to the same by and by. */
function memory(): Memory {
  globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed + external };
}
