import type { App, AppServer } from "../api/mod.ts";
import { type Clock, type Logger, messageOf } from "../base/mod.ts";
import { Announcement, type RpcClient } from "../rpc/mod.ts";
import { HealthChecks } from "./health.ts";
import { APP_ANNOUNCE_TTL_MS, WITHDRAW_MS } from "./limits.ts";
import { type AgentDescription, appServerOf, staleServers, withPublicAddr } from "./registration.ts";

export interface RegistrationsOptions {
  readonly client: RpcClient;
  readonly apps: readonly App[];
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
  #served = new Map<string, App>();

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
    this.#serve();
  }

  /** The app as announced: with the default `public_addr` where it has none. */
  app(name: string): App | undefined {
    return this.#served.get(name);
  }

  /** Announces every app, after removing what an earlier run announced and this one does not serve; checks their health. */
  async start(announced: Iterable<AppServer>): Promise<void> {
    const { client, apps, clock, log, healthIntervalMs } = this.#options;
    await Promise.all(staleServers(announced, this.#agent.hostId, apps).map((name) => this.#remove(name)));
    for (const { metadata } of apps) {
      const { name } = metadata;
      const resource = (expires: number) =>
        appServerOf(this.#served.get(name)!, this.#agent, expires, this.#health.of(name));
      this.#announcements.set(name, new Announcement({ client, clock, log, ttlMs: APP_ANNOUNCE_TTL_MS, resource }));
    }
    if (healthIntervalMs !== 0) this.#health.start(apps);
  }

  /** All apps have been taken by Auth at least once; one that it refuses keeps this waiting. */
  async ready(): Promise<void> {
    await Promise.all(this.#all().map((announcement) => announcement.ready));
  }

  /** The proxies changed, and default addresses perhaps with them. */
  update(agent: AgentDescription): void {
    const before = JSON.stringify([...this.#served]);
    this.#agent = agent;
    this.#serve();
    if (JSON.stringify([...this.#served]) === before) return;
    for (const announcement of this.#all()) announcement.renew();
  }

  async withdraw(): Promise<void> {
    this.#health.stop();
    await Promise.all(this.#all().map((announcement) => announcement.withdraw(WITHDRAW_MS)));
  }

  async stop(): Promise<void> {
    this.#health.stop();
    await Promise.all(this.#all().map((announcement) => announcement.stop()));
  }

  #all(): Announcement[] {
    return [...this.#announcements.values()];
  }

  #serve(): void {
    this.#served = new Map(this.#options.apps.map((app) => [app.metadata.name, withPublicAddr(app, this.#agent)]));
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
