import type { App, AppServer } from "../api/mod.ts";
import { type Clock, type Logger, messageOf } from "../base/mod.ts";
import { Announcement, type RpcClient } from "../rpc/mod.ts";
import { APP_ANNOUNCE_TTL_MS, WITHDRAW_MS } from "./limits.ts";
import { type AgentDescription, appServerOf, staleServers, withPublicAddr } from "./registration.ts";

export interface RegistrationsOptions {
  readonly client: RpcClient;
  readonly apps: readonly App[];
  readonly clock: Clock;
  readonly log: Logger;
}

/** The apps of this agent as the cluster sees them, kept alive while it runs. */
export class Registrations {
  readonly #options: RegistrationsOptions;
  readonly #announcements: Announcement[] = [];
  #agent: AgentDescription;
  #served = new Map<string, App>();

  constructor(options: RegistrationsOptions, agent: AgentDescription) {
    this.#options = options;
    this.#agent = agent;
    this.#serve();
  }

  /** The app as announced: with the default `public_addr` where it has none. */
  app(name: string): App | undefined {
    return this.#served.get(name);
  }

  /** Announces every app, after removing what an earlier run announced and this one does not serve. */
  async start(announced: Iterable<AppServer>): Promise<void> {
    const { client, apps, clock, log } = this.#options;
    await Promise.all(staleServers(announced, this.#agent.hostId, apps).map((name) => this.#remove(name)));
    for (const { metadata } of apps) {
      const resource = (expires: number) => appServerOf(this.#served.get(metadata.name)!, this.#agent, expires);
      this.#announcements.push(new Announcement({ client, clock, log, ttlMs: APP_ANNOUNCE_TTL_MS, resource }));
    }
  }

  /** All apps have been taken by Auth at least once; one that it refuses keeps this waiting. */
  async ready(): Promise<void> {
    await Promise.all(this.#announcements.map((announcement) => announcement.ready));
  }

  /** The proxies changed, and default addresses perhaps with them. */
  update(agent: AgentDescription): void {
    const before = JSON.stringify([...this.#served]);
    this.#agent = agent;
    this.#serve();
    if (JSON.stringify([...this.#served]) === before) return;
    for (const announcement of this.#announcements) announcement.renew();
  }

  async withdraw(): Promise<void> {
    await Promise.all(this.#announcements.map((announcement) => announcement.withdraw(WITHDRAW_MS)));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#announcements.map((announcement) => announcement.stop()));
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
