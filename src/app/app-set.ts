import { labelSelector } from "../access/mod.ts";
import type { App, LabelConditions } from "../api/mod.ts";
import type { Clock, Logger } from "../base/mod.ts";
import { CommandLabels, type RunCommand } from "./command-labels.ts";
import { MAX_DYNAMIC_APPS } from "./limits.ts";
import type { AgentView } from "./sessions.ts";

export interface AppSetOptions {
  /** Of the agent's own file. */
  readonly apps: readonly App[];
  /** `app_service.resources`: which `app` resources of the cluster it serves besides. */
  readonly selectors: readonly LabelConditions[];
  readonly view: Pick<AgentView, "list" | "onChange">;
  readonly clock: Clock;
  readonly log: Logger;
  /** Runs a label's command; a process of its own by default. */
  readonly run?: RunCommand | undefined;
  /** These are the apps to serve now. */
  changed(apps: readonly App[]): void;
}

/**
 * Which apps this agent serves now, with all their labels: those of its file,
 * and of the cluster's `app` resources the ones whose static labels it chooses.
 * A name in the file wins over the same in a resource.
 */
export class AppSet {
  readonly #options: AppSetOptions;
  readonly #labels: CommandLabels;
  readonly #chooses: readonly ((labels: Readonly<Record<string, string>>) => boolean)[];
  readonly #unsubscribe: () => void;
  #ready = Promise.withResolvers<void>();

  constructor(options: AppSetOptions) {
    this.#options = options;
    const { clock, log, run, view } = options;
    this.#chooses = options.selectors.map(labelSelector);
    this.#labels = new CommandLabels({ clock, log, run, changed: () => this.#tell() });
    this.#unsubscribe = view.onChange(({ kind }) => {
      if (kind === "app") this.#update();
    });
  }

  /** Begins, with what the view shows now. Resolves when each app that is there has its labels. */
  start(): Promise<void> {
    this.#update();
    return this.#ready.promise;
  }

  /** Those whose labels are all known. */
  now(): App[] {
    return this.#wanted().flatMap((app) => this.#labels.labelled(app) ?? []);
  }

  close(): void {
    this.#unsubscribe();
    this.#labels.stop();
  }

  #update(): void {
    this.#labels.set(this.#wanted());
    this.#tell();
  }

  #tell(): void {
    const apps = this.now();
    this.#options.changed(apps);
    if (apps.length === this.#wanted().length) this.#ready.resolve();
  }

  #wanted(): App[] {
    const { apps, view, log } = this.#options;
    const names = new Set(apps.map((app) => app.metadata.name));
    const chosen = view.list("app").filter(({ metadata }) => {
      if (names.has(metadata.name)) return false;
      return this.#chooses.some((chooses) => chooses(metadata.labels ?? {}));
    });
    if (chosen.length > MAX_DYNAMIC_APPS) {
      log.warn({ apps: chosen.length, maximum: MAX_DYNAMIC_APPS }, "more apps are chosen than one agent serves");
    }
    return [...apps, ...chosen.slice(0, MAX_DYNAMIC_APPS).map(withoutRevision)];
  }
}

/** What is announced is the app, not a version of the resource. */
function withoutRevision(app: App): App {
  const { revision: _, ...metadata } = app.metadata;
  return { ...app, metadata };
}
