import type { AppView, ClusterView } from "../api/mod.ts";
import { type ByteStream, type Logger, messageOf, Repeats, sleep, systemClock } from "../base/mod.ts";
import type { DialTcp } from "../dial/mod.ts";
import { LinkBudget } from "../link/mod.ts";
import { expired, identityOfProfile } from "./cluster.ts";
import { emptyView } from "./cluster-access.ts";
import { AppNotFoundError, LoginExpiredError } from "./errors.ts";
import { loadLastView, saveLastView } from "./last-view.ts";
import { FIRST_VIEW_MS, LOGIN_REMINDER_MS, LOGIN_WAIT_MS, MAX_FORMER_LOGINS, MAX_REMINDERS } from "./limits.ts";
import { LoginAccess } from "./login-access.ts";
import type { MfaPerson } from "./mfa.ts";
import { MfaDesk } from "./mfa-desk.ts";
import type { Profile, ProfileStore } from "./profile.ts";
import { ProfileWatch } from "./profile-watch.ts";

export interface ClusterDirectoryOptions {
  readonly store: ProfileStore;
  readonly log: Logger;
  /** Tells the person at the terminal one line. */
  readonly tell: (line: string) => void;
  /** Who can be asked for the second factor of an app session; by default nobody. */
  readonly person?: () => MfaPerson;
  readonly loginWaitMs?: number;
  /** The way to proxies, where it is not straight. */
  readonly dialTcp?: DialTcp | undefined;
  /** Clusters, or profiles for all of theirs, that are asked before the others, in this order. */
  readonly order?: readonly string[];
}

/** One saved login: in use, or expired and waiting for the next one. */
interface Login {
  readonly profile: Profile;
  /** Milliseconds since 1970. */
  readonly expires: number;
  access?: LoginAccess;
  /** Of the cluster itself first, then of its leaves. */
  views: readonly ClusterView[];
}

/**
 * What the user may reach in the clusters they have logged in to, kept up to date,
 * and the way there. Follows logins and logouts of other programs. While a login
 * is expired its cluster stays as it was last seen.
 */
export class ClusterDirectory implements AsyncDisposable {
  readonly #options: ClusterDirectoryOptions;
  readonly #desk: MfaDesk;
  /** For the links to all clusters. */
  readonly #budget = new LinkBudget();
  readonly #listeners = new Set<() => void>();
  readonly #reminders = new Repeats(systemClock, LOGIN_REMINDER_MS, MAX_REMINDERS);
  /** Of logins that are over, while their connections go on. */
  #former: { profile: string; access: LoginAccess }[] = [];
  readonly #watch: ProfileWatch;
  #logins: readonly Login[] = [];
  #work: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(options: ClusterDirectoryOptions) {
    this.#options = options;
    const { person = () => ({}), tell } = options;
    this.#desk = new MfaDesk({ person, tell });
    this.#watch = new ProfileWatch(options.store.home, {
      changed: () => this.#queue(() => this.#reload()),
      tick: () => this.#tick(),
    });
  }

  /** With the logins that are saved now; says which of them have expired. */
  static async open(options: ClusterDirectoryOptions): Promise<ClusterDirectory> {
    const directory = new ClusterDirectory(options);
    const first = directory.#reload();
    directory.#work = first.catch(() => {}); // What is changed meanwhile comes after.
    try {
      await first;
      return directory;
    } catch (error) {
      await directory.close();
      throw error;
    }
  }

  /** Resolves when every cluster has been seen once, or has had its time. */
  async ready(): Promise<void> {
    const seen = Promise.all(this.#logins.flatMap(({ access }) => access?.seen ?? []));
    await Promise.race([seen, sleep(FIRST_VIEW_MS)]);
  }

  /** Clusters whose first look failed, with the reason. */
  unreachable(): { profile: string; reason: string }[] {
    return this.#logins.flatMap(({ profile, access }) =>
      access?.view.staleSince === undefined
        ? []
        : [{ profile: profile.name, reason: messageOf(access.view.lastError ?? "no answer yet") }],
    );
  }

  clusters(): readonly ClusterView[] {
    const roots = new Set(this.#logins.filter(({ access }) => access).map(({ profile }) => profile.cluster));
    // A login to the cluster itself is the shorter way than one to its root.
    const all = this.#logins.flatMap(({ views }) => views.filter(({ leaf, cluster }) => !leaf || !roots.has(cluster)));
    return inOrder(all, this.#options.order ?? []);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Where the login has expired, waits for the next one. */
  async dial(cluster: ClusterView, app: AppView, port: number, signal: AbortSignal): Promise<ByteStream> {
    this.#expire();
    const access = this.#loginTo(cluster).access ?? (await this.#nextLogin(cluster, signal));
    const connections = access.connectionsTo(cluster.cluster);
    if (connections === undefined) throw noLonger(cluster);
    return connections.dial(app, port, signal);
  }

  /** Tells the person what to type, once a minute. */
  needsLogin(cluster: ClusterView): void {
    const login = this.#logins.find(({ views }) => views.some((view) => isOf(view, cluster)));
    if (login && !login.access && this.#reminders.due(login.profile.name)) this.#tellExpired(login);
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#watch[Symbol.dispose]();
    }
    await this.#work;
    const all = [...this.#logins.flatMap(({ access }) => access ?? []), ...this.#former.map(({ access }) => access)];
    this.#logins = [];
    await Promise.all(all.map((access) => access.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #loginTo(cluster: ClusterView): Login {
    const login = this.#logins.find(({ views }) => views.some((view) => isOf(view, cluster)));
    if (login) return login;
    throw noLonger(cluster);
  }

  /** @throws {LoginExpiredError} when nobody logs in in time, {AppNotFoundError} after a logout */
  #nextLogin(cluster: ClusterView, signal: AbortSignal): Promise<LoginAccess> {
    this.needsLogin(cluster);
    const { profile } = this.#loginTo(cluster);
    const waitMs = this.#options.loginWaitMs ?? LOGIN_WAIT_MS;
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        timer.cancel();
        stop();
        signal.removeEventListener("abort", onAbort);
        settle();
      };
      const onAbort = () => finish(() => reject(signal.reason));
      const timer = systemClock.after(waitMs, () => {
        const { message } = expired(profile);
        finish(() => reject(new LoginExpiredError(`${message} (waited ${waitMs / 1000} s for it)`)));
      });
      const stop = this.onChange(() => {
        try {
          const { access } = this.#loginTo(cluster);
          if (access) finish(() => resolve(access));
        } catch (error) {
          finish(() => reject(error));
        }
      });
      signal.addEventListener("abort", onAbort);
      if (signal.aborted) onAbort();
    });
  }

  #queue(work: () => Promise<void>): void {
    this.#work = this.#work
      .then(() => (this.#closed ? undefined : work()))
      .catch((error: unknown) => this.#options.log.error({ error: messageOf(error) }, "following the logins failed"));
  }

  /** Takes over the logins that are saved now; those that are the same stay untouched. */
  async #reload(): Promise<void> {
    const before = this.#logins;
    const names = await this.#options.store.names();
    const next = (await Promise.all(names.map((name) => this.#saved(name)))).filter((login) => login !== undefined);
    this.#logins = next;
    for (const login of before.filter((each) => !next.includes(each))) {
      const loggedInAgain = next.some(({ profile }) => profile.name === login.profile.name);
      if (loggedInAgain) this.#retire(login);
      else this.#drop(login); // A logout ends everything.
    }
    if (next.length !== before.length || next.some((login, i) => login !== before[i])) this.#changed();
  }

  /** One that cannot be read, perhaps only half written yet, stays as it was and does not hide the others. */
  async #saved(name: string): Promise<Login | undefined> {
    const known = this.#logins.find(({ profile }) => profile.name === name);
    try {
      const profile = await this.#options.store.load(name);
      if (!profile) return undefined; // Logged out this moment.
      return known && isSame(known.profile, profile) ? known : await this.#login(profile);
    } catch (error) {
      if (this.#reminders.due(`damaged ${name}`)) this.#options.tell(messageOf(error));
      return known;
    }
  }

  async #login(profile: Profile): Promise<Login> {
    const { store, log } = this.#options;
    const { expires } = identityOfProfile(profile);
    const known = (await loadLastView(store, profile)) ?? [emptyView(profile)];
    const login: Login = { profile, expires, views: known };
    if (expires <= Date.now()) {
      login.views = asExpired(known);
      if (this.#reminders.due(profile.name)) this.#tellExpired(login);
      return login;
    }
    const changed = (views: readonly ClusterView[]) => {
      if (JSON.stringify(views) === JSON.stringify(login.views)) return;
      login.views = views;
      this.#changed();
      this.#queue(() => saveLastView(store, profile, views, log));
    };
    const { dialTcp } = this.#options;
    login.access = new LoginAccess(profile, log, { known, desk: this.#desk, budget: this.#budget, dialTcp, changed });
    return login;
  }

  /** What follows an expired login may not be a saved one: an identity file is written somewhere else. */
  #tick(): void {
    this.#expire();
    if (this.#logins.some(({ access }) => !access)) this.#queue(() => this.#reload());
  }

  /** Marks the logins that are over since, by their time or by Auth's word; their connections go on, new ones wait. */
  #expire(): void {
    const now = Date.now();
    const over = this.#logins.filter(({ access, expires }) => access && (expires <= now || access.refused));
    for (const login of over) {
      this.#retire(login);
      login.views = asExpired(login.views);
      if (this.#reminders.due(login.profile.name)) this.#tellExpired(login);
    }
    if (over.length > 0) this.#changed();
  }

  #retire(login: Login): void {
    const { access } = login;
    if (!access) return;
    delete login.access;
    this.#former.push({ profile: login.profile.name, access });
    const oldest = this.#former.length > MAX_FORMER_LOGINS ? this.#former.shift() : undefined;
    this.#queue(async () => {
      await access.retire();
      await oldest?.access.close();
    });
  }

  #drop(login: Login): void {
    this.#retire(login);
    const over = this.#former.filter(({ profile }) => profile === login.profile.name);
    this.#queue(async () => {
      await Promise.all(over.map(({ access }) => access.close()));
      this.#former = this.#former.filter((each) => !over.includes(each));
    });
  }

  #tellExpired({ profile }: Login): void {
    this.#options.tell(expired(profile).message);
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function asExpired(views: readonly ClusterView[]): ClusterView[] {
  return views.map((view) => ({ ...view, loginExpired: true }));
}

function noLonger({ cluster }: ClusterView): AppNotFoundError {
  return new AppNotFoundError(`not logged in to the cluster ${cluster} any more`);
}

function inOrder(clusters: readonly ClusterView[], order: readonly string[]): readonly ClusterView[] {
  if (order.length === 0) return clusters;
  const rank = ({ cluster, profile }: ClusterView) => {
    const at = order.findIndex((name) => name === cluster || name === profile);
    return at < 0 ? order.length : at;
  };
  return clusters.toSorted((a, b) => rank(a) - rank(b));
}

function isOf(view: ClusterView, cluster: ClusterView): boolean {
  return view.profile === cluster.profile && view.cluster === cluster.cluster;
}

function isSame(a: Profile, b: Profile): boolean {
  return (
    a.name === b.name &&
    a.proxyAddress === b.proxyAddress &&
    a.certPem === b.certPem &&
    a.keyPem === b.keyPem &&
    a.hostCas.join() === b.hostCas.join()
  );
}
