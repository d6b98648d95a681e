import { execFile } from "node:child_process";
import { type App, parseDuration } from "../api/mod.ts";
import { type Clock, type Logger, messageOf, type Timer } from "../base/mod.ts";
import {
  DEFAULT_LABEL_PERIOD_MS,
  LABEL_COMMAND_TIMEOUT_MS,
  MAX_LABEL_COMMANDS,
  MAX_LABEL_OUTPUT_LEN,
  MIN_LABEL_PERIOD_MS,
} from "./limits.ts";

/** Runs a program without a shell; resolves with what it printed. */
export type RunCommand = (command: readonly string[], signal: AbortSignal) => Promise<string>;

export interface CommandLabelsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly run?: RunCommand | undefined;
  /** A label of this app has another value now, or its first one. */
  changed(app: string): void;
}

interface Labelled {
  readonly app: App;
  readonly values: Map<string, string>;
  readonly timers: Set<Timer>;
  readonly stopped: AbortController;
  /** Commands that have not run once. */
  waiting: number;
}

/** `period` in milliseconds, and the program with its arguments, by label. */
type Commands = Map<string, { command: readonly string[]; periodMs: number }>;

/**
 * Labels whose values commands print, as in Teleport: each runs when the app
 * comes and then in its period, on this host, as the agent's own account. What
 * a command printed is the value, trimmed; of one that failed, why.
 */
export class CommandLabels {
  readonly #options: CommandLabelsOptions;
  readonly #run: RunCommand;
  readonly #apps = new Map<string, Labelled>();
  /** Runs that wait for one of the places. */
  readonly #queue: (() => void)[] = [];
  #running = 0;

  constructor(options: CommandLabelsOptions) {
    this.#options = options;
    this.#run = options.run ?? runCommand;
  }

  /** From now on these apps' commands run, and no others. An app that is the same goes on as it was. */
  set(apps: readonly App[]): void {
    const wanted = new Map(apps.map((app) => [app.metadata.name, app]));
    for (const [name, { app }] of this.#apps) {
      if (!sameCommands(app, wanted.get(name))) this.#forget(name);
    }
    for (const app of apps) if (!this.#apps.has(app.metadata.name)) this.#begin(app);
  }

  /** The app with its labels as they are now; `undefined` until each command has run once. */
  labelled(app: App): App | undefined {
    const state = this.#apps.get(app.metadata.name);
    if (state === undefined) return app;
    if (state.waiting > 0) return undefined;
    if (state.values.size === 0) return app;
    const labels = { ...app.metadata.labels, ...Object.fromEntries(state.values) };
    return { ...app, metadata: { ...app.metadata, labels } };
  }

  stop(): void {
    for (const name of [...this.#apps.keys()]) this.#forget(name);
  }

  #begin(app: App): void {
    const commands = commandsOf(app);
    const state: Labelled = {
      app,
      values: new Map(),
      timers: new Set(),
      stopped: new AbortController(),
      waiting: commands.size,
    };
    this.#apps.set(app.metadata.name, state);
    for (const [label, { command, periodMs }] of commands) {
      const again = async (first: boolean) => {
        const value = await this.#value(command, state.stopped.signal);
        if (state.stopped.signal.aborted) return;
        if (first) state.waiting--;
        const changed = state.values.get(label) !== value;
        state.values.set(label, value);
        const timer = this.#options.clock.after(periodMs, () => {
          state.timers.delete(timer);
          void again(false);
        });
        state.timers.add(timer);
        if (state.waiting === 0 && (changed || first)) this.#options.changed(app.metadata.name);
      };
      void again(true);
    }
  }

  #forget(name: string): void {
    const state = this.#apps.get(name);
    this.#apps.delete(name);
    state?.stopped.abort(new Error("the app is gone"));
    for (const timer of state?.timers ?? []) timer.cancel();
  }

  async #value(command: readonly string[], signal: AbortSignal): Promise<string> {
    await this.#place();
    try {
      if (signal.aborted) return "";
      return plain(await this.#run(command, signal));
    } catch (error) {
      this.#options.log.warn({ command: command[0], error: messageOf(error) }, "the command of a label failed");
      return plain(messageOf(error));
    } finally {
      this.#running--;
      this.#queue.shift()?.();
    }
  }

  /** Of all apps together, so many commands run at once. */
  async #place(): Promise<void> {
    if (this.#running >= MAX_LABEL_COMMANDS) {
      await new Promise<void>((resolve) => {
        this.#queue.push(resolve);
      });
    }
    this.#running++;
  }
}

function commandsOf({ spec }: App): Commands {
  const given = spec.dynamic_labels ?? [];
  const entries = Array.isArray(given) ? given.map((each) => [each.name, each] as const) : Object.entries(given);
  return new Map(
    entries.map(([label, { command, period }]) => {
      const wanted =
        period === undefined ? DEFAULT_LABEL_PERIOD_MS : (parseDuration(period) ?? DEFAULT_LABEL_PERIOD_MS);
      return [label, { command, periodMs: Math.max(wanted, MIN_LABEL_PERIOD_MS) }];
    }),
  );
}

function sameCommands(before: App, now: App | undefined): boolean {
  return now !== undefined && JSON.stringify([...commandsOf(before)]) === JSON.stringify([...commandsOf(now)]);
}

/** A label is one short line. */
function plain(text: string): string {
  return text
    .trim()
    .replace(/\p{Cc}+/gu, " ")
    .slice(0, MAX_LABEL_OUTPUT_LEN);
}

function runCommand([program = "", ...args]: readonly string[], signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      signal,
      timeout: LABEL_COMMAND_TIMEOUT_MS,
      killSignal: "SIGKILL",
      maxBuffer: 1024 * 1024,
    } as const;
    execFile(program, args, options, (error, stdout) => {
      if (error === null) resolve(stdout);
      else if (error.killed === true) reject(new Error(`${program} took longer than ${LABEL_COMMAND_TIMEOUT_MS} ms`));
      else reject(error);
    });
  });
}
