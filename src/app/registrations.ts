import type { App, AppServer } from "../api/mod.ts";
import { type Clock, type Logger, messageOf } from "../base/mod.ts";
import { Announcement, type RpcClient } from "../rpc/mod.ts";
import { HealthChecks } from "./health.ts";
import { APP_ANNOUNCE_TTL_MS, WITHDRAW_MS } from "./limits.ts";
import { type AgentDescription, appServerOf, staleServers, withPublicAddr } from "./registration.ts";

export interface RegistrationsOptions {
  readonly client: RpcClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** Between health checks of an app; 0: none. */
  readonly healthIntervalMs?: number | undefined;
}

/** The apps of this agent as the cluster sees them, kept alive while it runs. */
export class Registrations {
  readonly #options: RegistrationsOptions;
  readonly #announcements = new Map<string, Announcement>();
  readonly #health: HealthChecks;
  #agent: AgentDescription;
  #apps: readonly App[] = [];
  #served = new Map<string, App>();
  /** Announcements that are being taken back: one of the same name comes after. */
  readonly #dropped = new Map<string, Promise<void>>();
  #started = false;

  constructor(options: RegistrationsOptions, agent: AgentDescription) {
    this.#options = options;
    this.#agent = agent;
    const { clock, log, healthIntervalMs } = options;
    this.#health = new HealthChecks({
      clock,
      log,
      ...(healthIntervalMs !== undefined && { intervalMs: healthIntervalMs }),
      changed: (app) => this.#announcements.get(app)?.renew(),
    });
  }

  /** The app as announced: with the default `public_addr` where it has none. */
  app(name: string): App | undefined {
    return this.#served.get(name);
  }

  /** Removes what an earlier run announced and this one does not serve; then announces, and checks the health of, each app. */
  async start(announced: Iterable<AppServer>, apps: () => readonly App[]): Promise<void> {
    await Promise.all(staleServers(announced, this.#agent.hostId, apps()).map((name) => this.#remove(name)));
    this.#started = true;
    this.set(apps());
  }

  /** From now on these apps are served: new ones are announced, changed ones again, the others taken back. */
  set(apps: readonly App[]): void {
    if (!this.#started) return;
    this.#apps = apps;
    const before = this.#served;
    this.#serve();
    for (const name of this.#announcements.keys()) if (!this.#served.has(name)) this.#drop(name);
    for (const [name, app] of this.#served) {
      if (!this.#announcements.has(name)) this.#announce(name);
      else if (JSON.stringify(before.get(name)) !== JSON.stringify(app)) this.#announcements.get(name)?.renew();
    }
    if (this.#options.healthIntervalMs !== 0) this.#health.set(apps);
  }

  /** All apps have been taken by Auth at least once; one that it refuses keeps this waiting. */
  async ready(): Promise<void> {
    await Promise.all(this.#all().map((announcement) => announcement.ready));
  }

  /** The proxies changed, and default addresses perhaps with them. */
  update(agent: AgentDescription): void {
    this.#agent = agent;
    this.set(this.#apps);
  }

  async withdraw(): Promise<void> {
    this.#health.stop();
    await Promise.all([...this.#all().map((each) => each.withdraw(WITHDRAW_MS)), ...this.#dropped.values()]);
  }

  async stop(): Promise<void> {
    this.#health.stop();
    await Promise.all([...this.#all().map((each) => each.stop()), ...this.#dropped.values()]);
  }

  #all(): Announcement[] {
    return [...this.#announcements.values()];
  }

  #announce(name: string): void {
    const pending = this.#dropped.get(name);
    if (pending !== undefined) {
      void pending.then(() => this.set(this.#apps));
      return;
    }
    const { client, clock, log } = this.#options;
    let app = this.#served.get(name)!;
    const resource = (expires: number) => {
      app = this.#served.get(name) ?? app; // While it is taken back, what it was last.
      return appServerOf(app, this.#agent, expires, this.#health.of(name));
    };
    this.#announcements.set(name, new Announcement({ client, clock, log, ttlMs: APP_ANNOUNCE_TTL_MS, resource }));
  }

  #drop(name: string): void {
    const announcement = this.#announcements.get(name);
    this.#announcements.delete(name);
    const gone = announcement?.withdraw(WITHDRAW_MS).then(() => void this.#dropped.delete(name));
    if (gone !== undefined) this.#dropped.set(name, gone);
  }

  #serve(): void {
    this.#served = new Map(this.#apps.map((app) => [app.metadata.name, withPublicAddr(app, this.#agent)]));
  }

  async #remove(name: string): Promise<void> {
    const { client, log } = this.#options;
    try {
      await client.call("resource.delete", { kind: "app_server", name });
      log.info({ name }, "removed the announcement of an app that is no longer configured");
    } catch (error) {
      log.warn({ name, error: messageOf(error) }, "an old announcement stays until it lapses");
    }
  }
}
