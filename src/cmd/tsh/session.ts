import type { Command } from "commander";
import { createLogger, type Logger } from "../../base/mod.ts";
import {
  type AppSessions,
  connectCluster,
  connectLeaf,
  expired,
  IdentityFileStore,
  isExpired,
  joinHostPort,
  leafSessions,
  MfaDesk,
  type MfaPerson,
  NotLoggedInError,
  ownSessions,
  type Profile,
  ProfileStore,
  splitHostPort,
  type WebTrust,
} from "../../client/mod.ts";
import type { ClientEnvironment } from "../../config/mod.ts";
import type { DialTcp } from "../../dial/mod.ts";
import { authorityCerts, type RpcClient } from "../../rpc/mod.ts";
import { listAll } from "../cli/list-all.ts";
import { outgoing } from "../cli/outgoing.ts";
import { say, UsageError } from "../cli/program.ts";
import { showSlowCalls } from "../cli/progress.ts";
import { Prompt } from "../cli/prompt.ts";
import { personAt } from "./mfa-person.ts";
import { personAtTerminal } from "./tty-person.ts";

/** Without a question to the proxy's web side, which an identity file makes needless. */
const DEFAULT_PROXY_PORT = 443;

interface GlobalOptions {
  proxy?: string | undefined;
  user?: string | undefined;
  identity?: string | undefined;
  mfaMode?: string | undefined;
  insecure?: boolean;
  debug?: boolean;
}

/** A cluster as a command uses it. */
export interface ClusterInUse {
  /** The cluster's own API. */
  readonly rpc: RpcClient;
  readonly profile: Profile;
  readonly sessions: AppSessions;
}

/** What every `tsh` command works with: the saved logins and the global flags. */
export class Tsh {
  readonly env: ClientEnvironment;
  readonly prompt = new Prompt();
  #store: ProfileStore | undefined;
  readonly #program: Command;

  constructor(program: Command, env: ClientEnvironment) {
    this.#program = program;
    this.env = env;
  }

  /** The saved logins, or the one of an identity file. */
  get store(): ProfileStore {
    this.#store ??= this.#openStore();
    return this.#store;
  }

  #openStore(): ProfileStore {
    const file = this.#program.opts<GlobalOptions>().identity ?? this.env.identityFile;
    if (file === undefined) return new ProfileStore(this.env.home);
    const { proxy } = this.options;
    if (proxy === undefined) throw new UsageError("--identity needs --proxy=HOST:PORT: the file does not say where");
    const { host, port } = splitHostPort(proxy);
    return new IdentityFileStore(this.env.home, file, joinHostPort(host, port ?? DEFAULT_PROXY_PORT));
  }

  /** Flags, else the environment. */
  get options(): GlobalOptions {
    const { proxy, user, mfaMode, insecure, debug } = this.env;
    const given = this.#program.opts<GlobalOptions>();
    return {
      insecure: insecure || given.insecure === true,
      debug: debug || given.debug === true,
      ...((given.proxy ?? proxy) && { proxy: given.proxy ?? proxy }),
      ...((given.user ?? user) && { user: given.user ?? user }),
      ...((given.mfaMode ?? mfaMode) && { mfaMode: given.mfaMode ?? mfaMode }),
    };
  }

  /** Whoever sits at this terminal and has the second factor. */
  person(browser = "auto"): MfaPerson {
    const { mfaMode } = this.options;
    return personAt(this.prompt, { mode: mfaMode ?? "auto", browser: browser !== "none" && this.env.hasDesktop });
  }

  /** The same for programs that run beside others: asked at the terminal itself. */
  personBeside(): MfaPerson {
    return personAtTerminal({ mode: this.options.mfaMode ?? "auto", browser: this.env.hasDesktop });
  }

  get log(): Logger {
    return createLogger({ level: this.options.debug ? "debug" : "warn", format: "text" });
  }

  /** The way to proxies, where it is not straight. */
  get dialTcp(): DialTcp | undefined {
    return outgoing(this.env);
  }

  get webTrust(): WebTrust {
    const { sslCertFile: certFile, sslCertDir: certDir } = this.env;
    return { insecure: this.options.insecure === true, certFile, certDir, dialTcp: this.dialTcp };
  }

  /** The saved login that the flags name, or the current one; valid or not. */
  async findProfile(): Promise<Profile | undefined> {
    const { proxy } = this.options;
    return proxy === undefined ? this.store.current() : this.store.load(splitHostPort(proxy).host);
  }

  /** A login that can be used now. */
  async validProfile(): Promise<Profile> {
    const profile = await this.findProfile();
    if (profile === undefined) {
      throw new NotLoggedInError(
        'not logged in; log in with "tsh login --proxy=PROXY_HOST --user=NAME", for example "tsh login --proxy=teleport.example.com"',
      );
    }
    if (isExpired(profile)) throw expired(profile);
    return profile;
  }

  /** The cluster of the current login, or a leaf of it; its connections are ended afterwards. */
  inCluster<T>(cluster: string | undefined, run: (use: ClusterInUse) => Promise<T>): Promise<T> {
    const name = cluster ?? this.env.cluster;
    const desk = new MfaDesk({ person: () => this.person(), tell: (line) => say(`${line}\n`) });
    return this.withCluster(async (rpc, profile) => {
      if (name === undefined || name === profile.cluster)
        return run({ rpc, profile, sessions: ownSessions(rpc, desk) });
      await using leaf = connectLeaf(profile, name, await leafAuthority(rpc, name), this.log, this.dialTcp);
      return await run({ rpc: leaf, profile, sessions: leafSessions(rpc, leaf, name, desk) });
    });
  }

  /** Calls Auth with the current login, and ends the connection afterwards. */
  async withCluster<T>(run: (rpc: RpcClient, profile: Profile) => Promise<T>): Promise<T> {
    const profile = await this.validProfile();
    await using rpc = connectCluster(profile, this.log, this.dialTcp);
    showSlowCalls(rpc, profile.name);
    return await run(rpc, profile);
  }
}

/** The host authorities of a leaf, on its root's word. */
async function leafAuthority(rpc: RpcClient, cluster: string): Promise<readonly string[]> {
  const certs = authorityCerts(await listAll(rpc, "cert_authority"), { type: "host", cluster, known: [] });
  if (certs.length > 0) return certs;
  throw new UsageError(`cluster ${JSON.stringify(cluster)} is not known; "tsh clusters" lists those you may reach`);
}
