import { type Clock, type Logger, OperationError, Repeats } from "../base/mod.ts";
import { LOG_REPEAT_MS, MAX_LOG_KEYS } from "./limits.ts";
import type { Target } from "./zones.ts";

/** Tells the log why a connection was refused: one line that a person understands, not one per retry. */
export class RefusalLog {
  readonly #log: Logger;
  readonly #said: Repeats;

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#said = new Repeats(clock, LOG_REPEAT_MS, MAX_LOG_KEYS);
  }

  tell(host: string, port: number, why: string, target?: Target, error?: unknown): void {
    const line = `connection to ${host}:${port} refused: ${why}`;
    if (!this.#said.due(line)) return;
    const code = error instanceof OperationError ? { code: error.code } : {};
    const app = target ? { app: target.app.name, cluster: target.cluster.cluster } : {};
    this.#log.warn({ ...app, port, ...code }, line);
  }
}
