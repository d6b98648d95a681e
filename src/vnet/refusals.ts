import { type Clock, type Logger, OperationError } from "../base/mod.ts";
import { LOG_REPEAT_MS, MAX_LOG_KEYS } from "./limits.ts";
import type { Target } from "./zones.ts";

/** Tells the log why a connection was refused: one line that a person understands, not one per retry. */
export class RefusalLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #last = new Map<string, number>();

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  tell(host: string, port: number, why: string, target?: Target, error?: unknown): void {
    const line = `connection to ${host}:${port} refused: ${why}`;
    const now = this.#clock.now();
    const last = this.#last.get(line);
    if (last !== undefined && now - last < LOG_REPEAT_MS) return;
    if (this.#last.size >= MAX_LOG_KEYS) this.#last.clear();
    this.#last.set(line, now);
    const code = error instanceof OperationError ? { code: error.code } : {};
    const app = target ? { app: target.app.name, cluster: target.cluster.cluster } : {};
    this.#log.warn({ ...app, port, ...code }, line);
  }
}
