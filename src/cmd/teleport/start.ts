import { openSync, writeSync } from "node:fs";
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { startApp } from "../../app/mod.ts";
import { openAuditLog } from "../../audit/mod.ts";
import { type AuthService, startAuth } from "../../auth/mod.ts";
import {
  createLogger,
  fileFault,
  Lifetime,
  type Logger,
  messageOf,
  OperationError,
  systemClock,
  VERSION,
} from "../../base/mod.ts";
import type { TeleportConfig } from "../../config/mod.ts";
import { type ProxyService, startProxy } from "../../proxy/mod.ts";
import { openSqlite } from "../../storage/mod.ts";
import { Diagnostics } from "../cli/diagnostics.ts";
import { aborted } from "../cli/program.ts";
import { hostIdentity, identityStore, type JoinSource } from "./identity.ts";

/** Open connections have this long to end after SIGTERM; services that hold none end at once. */
const DRAIN_MS = 5_000;

export class DataDirError extends OperationError {
  readonly code = "teleport.data-dir";
}

/** A file that the configuration wants written cannot be. */
export class ConfiguredFileError extends OperationError {
  readonly code = "teleport.file";

  constructor(what: string, path: string, cause: unknown) {
    super(`cannot write ${what} to ${path}: ${fileFault(cause, "write")}`, { cause });
  }
}

/** Runs the services of `config` until `signal`; returns when all of them have ended. */
export async function runTeleport(
  config: TeleportConfig,
  outside: Pick<JoinSource, "webRoots" | "dialTcp">,
  signal: AbortSignal,
): Promise<void> {
  const log = openLog(config);
  for (const warning of config.warnings) log.warn({}, warning);
  log.info({ version: VERSION, data_dir: config.dataDir }, "starting");
  const life = new Lifetime();
  const here: Process = { config, diagnostics: new Diagnostics("teleport"), ...outside, log, life, signal };
  try {
    await serveDiagnostics(here);
    await prepareDataDir(config.dataDir);
    await startServices(here);
    await writePidFile(config, life);
    await aborted(signal);
    log.info({}, "shutting down");
  } finally {
    await life.close(signal.reason);
    log.info({}, "stopped");
  }
}

/** What the services of this process share. */
interface Process {
  readonly config: TeleportConfig;
  readonly diagnostics: Diagnostics;
  readonly webRoots: JoinSource["webRoots"];
  readonly dialTcp: JoinSource["dialTcp"];
  readonly log: Logger;
  /** Ends, in reverse order, what was started. */
  readonly life: Lifetime;
  readonly signal: AbortSignal;
}

async function startServices(here: Process): Promise<void> {
  const { config, log } = here;
  const auth = config.auth === undefined ? undefined : await openAuth(here);
  const source: JoinSource = { ...here, auth };
  const authAddress = auth?.listenAddress ?? config.authServer;
  const proxy =
    config.proxy === undefined || authAddress === undefined ? undefined : await openProxy(here, authAddress, source);
  if (config.app !== undefined) await openApp(here, proxy, source);
  log.info({}, "The Teleport services are ready");
}

/** Before the services, so that a start that takes long is seen to. */
async function serveDiagnostics({ config, diagnostics, log, life }: Process): Promise<void> {
  const starting = new Promise<never>(() => {});
  for (const name of ["auth", "proxy", "app"] as const) {
    if (config[name] !== undefined) diagnostics.component(name, { ready: starting });
  }
  if (config.diagAddr === undefined) return;
  const server = life.use(await diagnostics.listen(config.diagAddr));
  log.info({ address: server.address }, "diagnostics are served: /healthz, /readyz, /metrics");
}

async function openAuth({ config, diagnostics, log, life }: Process): Promise<AuthService> {
  const { auth } = config;
  if (auth === undefined) throw new Error("unreachable");
  const backend = life.use(openSqlite(auth.storagePath, { clock: systemClock }));
  const audit = life.use(
    await openAuditLog({ dir: auth.auditDir, clock: systemClock, retentionMs: auth.auditRetentionMs }),
  );
  const service = await startAuth({
    config: {
      clusterName: auth.clusterName,
      nodename: config.nodename,
      listenAddr: auth.listenAddr,
      authentication: auth.authentication,
      messageOfTheDay: auth.messageOfTheDay,
      networking: auth.networking,
      staticTokens: auth.staticTokens,
    },
    dataDir: config.dataDir,
    backend,
    audit,
    clock: systemClock,
    log: log.child({ component: "auth" }),
  });
  life.defer(() => service.close());
  diagnostics.component("auth", { counters: service.counters });
  log.info({ address: service.listenAddress }, "Auth Service is listening");
  return service;
}

async function openProxy(
  { config, diagnostics, log, life }: Process,
  authAddress: string,
  source: JoinSource,
): Promise<ProxyService> {
  const proxy = await startProxy({
    identity: await hostIdentity("Proxy", source),
    storeIdentity: identityStore("Proxy", source),
    config: config.proxy!,
    authAddress,
    dataDir: config.dataDir,
    hostname: config.nodename,
    clock: systemClock,
    log: log.child({ component: "proxy" }),
  });
  life.defer(() => proxy.drain(DRAIN_MS));
  const { ready, counters } = proxy;
  diagnostics.component("proxy", { ready, counters, problem: () => proxy.problem });
  diagnostics.gauge("teleport_connected_agents", "Agents with a control connection to this proxy.", () => {
    return proxy.connectedAgents().length;
  });
  log.info({ address: proxy.address }, "Proxy Service is listening");
  announceReady(ready, "Proxy Service", log);
  return proxy;
}

async function openApp(
  { config, diagnostics, dialTcp, log, life }: Process,
  proxy: ProxyService | undefined,
  source: JoinSource,
): Promise<void> {
  const app = await startApp({
    identity: await hostIdentity("App", source),
    storeIdentity: identityStore("App", source),
    apps: config.app!.apps,
    selectors: config.app!.selectors,
    proxyAddress: proxy === undefined ? config.proxyServer! : loopback(proxy.address),
    dialTcp,
    dataDir: config.dataDir,
    hostname: config.nodename,
    clock: systemClock,
    log: log.child({ component: "app" }),
  });
  life.defer(() => app.drain(DRAIN_MS));
  const { ready, counters } = app;
  diagnostics.component("app", { ready, counters, problem: () => app.problem });
  diagnostics.gauge("teleport_app_connections", "Connections to apps through this agent.", () => app.connections);
  announceReady(ready, "Application Service", log);
}

function announceReady(ready: Promise<void>, service: string, log: Logger): void {
  ready.then(
    () => log.info({}, `${service} is ready`),
    (error: unknown) => log.debug({ error: messageOf(error) }, `${service} ended before it was ready`),
  );
}

/** Where this machine reaches a listener on every address. */
function loopback(address: string): string {
  return address.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:");
}

function openLog(config: TeleportConfig): Logger {
  const { output, level, format } = config.log;
  if (output === "stderr") return createLogger({ level, format });
  const write = output === "stdout" ? (line: string) => void process.stdout.write(line) : fileWriter(output.path);
  return createLogger({ level, format, write });
}

/** Line by line, so that none is lost at the end; where the disk fails, on standard error. */
function fileWriter(path: string): (line: string) => void {
  try {
    const file = openSync(path, "a", 0o600);
    return (line) => {
      try {
        writeSync(file, line);
      } catch {
        process.stderr.write(line);
      }
    };
  } catch (cause) {
    throw new ConfiguredFileError("the log", path, cause);
  }
}

async function prepareDataDir(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await chmod(dataDir, 0o700);
  } catch (error) {
    throw new DataDirError(
      `the data directory ${dataDir} cannot be used: ${fileFault(error)}; or set another teleport.data_dir`,
      { cause: error },
    );
  }
}

async function writePidFile(config: TeleportConfig, life: Lifetime): Promise<void> {
  const { pidFile } = config;
  if (pidFile === undefined) return;
  await writeFile(pidFile, `${process.pid}\n`).catch((cause: unknown) => {
    throw new ConfiguredFileError("the process id", pidFile, cause);
  });
  life.defer(() => rm(pidFile, { force: true }));
}
