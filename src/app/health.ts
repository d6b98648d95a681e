import { type App, parseAppUri, type TargetHealth, tcpTarget } from "../api/mod.ts";
import type { Clock, Logger, Timer } from "../base/mod.ts";
import { dialApp } from "./dial.ts";
import { HEALTH_INTERVAL_MS, HEALTH_RETRY_MS, HEALTH_SPREAD_MS, HEALTH_TIMEOUT_MS } from "./limits.ts";

export interface HealthOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Between checks of a healthy app; HEALTH_INTERVAL_MS by default. */
  readonly intervalMs?: number;
  /** The health of this app is another now. */
  changed(app: string): void;
}

/** Dials each app now and then, so that others know where it cannot be reached before they try. */
export class HealthChecks {
  readonly #options: HealthOptions;
  /** What is checked; of an app that changed its target, the newest. */
  readonly #apps = new Map<string, App>();
  readonly #health = new Map<string, TargetHealth>();
  readonly #timers = new Map<string, Timer>();
  readonly #stopped = new AbortController();

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** From now on these are checked, and no others. The first checks follow one another closely. */
  set(apps: readonly App[]): void {
    const wanted = new Map(apps.map((app) => [app.metadata.name, app]));
    for (const [name, app] of this.#apps) if (!sameTarget(app, wanted.get(name))) this.#forget(name);
    const fresh = apps.filter((app) => !this.#apps.has(app.metadata.name));
    for (const [i, app] of fresh.entries()) {
      this.#apps.set(app.metadata.name, app);
      this.#later(app, i * HEALTH_SPREAD_MS);
    }
  }

  of(app: string): TargetHealth | undefined {
    return this.#health.get(app);
  }

  stop(): void {
    this.#stopped.abort(new Error("the agent ended"));
    for (const timer of this.#timers.values()) timer.cancel();
  }

  #forget(name: string): void {
    this.#apps.delete(name);
    this.#health.delete(name);
    this.#timers.get(name)?.cancel();
    this.#timers.delete(name);
  }

  #later(app: App, delayMs: number): void {
    if (this.#stopped.signal.aborted) return;
    const timer = this.#options.clock.after(delayMs, () => void this.#check(app));
    this.#timers.set(app.metadata.name, timer);
  }

  async #check(app: App): Promise<void> {
    const { clock, intervalMs = HEALTH_INTERVAL_MS } = this.#options;
    const target = targetOf(app);
    if (target === undefined) return;
    const result = await dialApp(target, { clock, timeoutMs: HEALTH_TIMEOUT_MS, signal: this.#stopped.signal });
    const failure = "refusal" in result ? result.message : undefined;
    if (!("refusal" in result)) result.destroy();
    if (this.#stopped.signal.aborted || this.#apps.get(app.metadata.name) !== app) return;
    this.#found(app.metadata.name, `${target.host}:${target.port}`, failure);
    this.#later(app, failure === undefined ? intervalMs : Math.min(HEALTH_RETRY_MS, intervalMs));
  }

  #found(app: string, address: string, failure: string | undefined): void {
    const status = failure === undefined ? "healthy" : "unhealthy";
    const before = this.#health.get(app)?.status;
    if (before === status) return;
    const { clock, log, changed } = this.#options;
    this.#health.set(app, {
      address,
      protocol: "TCP",
      status,
      transition_timestamp: new Date(clock.wallMs()).toISOString(),
      transition_reason: before === undefined ? "initial" : failure === undefined ? "threshold_reached" : "dial_failed",
      ...(failure !== undefined && { transition_error: failure }),
    });
    if (failure !== undefined) log.warn({ app, error: failure }, "an app fails its health check");
    else if (before !== undefined) log.info({ app }, "an app is healthy again");
    changed(app);
  }
}

function sameTarget(before: App, now: App | undefined): boolean {
  return now !== undefined && JSON.stringify(targetOf(before)) === JSON.stringify(targetOf(now));
}

/** What is dialled: of an app with several ports the first. */
function targetOf({ spec }: App): { host: string; port: number } | undefined {
  const uri = parseAppUri(spec.uri);
  if (typeof uri === "string") return undefined;
  if (uri.scheme === "tcp") return tcpTarget(spec, 0);
  return { host: uri.host, port: uri.port ?? (uri.scheme === "https" ? 443 : 80) };
}
