import { loadTeleportConfig, parseTeleportConfig, readClientEnvironment, type StartFlags } from "../config/mod.ts";
import { collectList } from "./cli/arguments.ts";
import { outgoing } from "./cli/outgoing.ts";
import { interruption, newProgram, runProgram } from "./cli/program.ts";
import { addConfigureCommand } from "./teleport/configure.ts";
import { runTeleport } from "./teleport/start.ts";

interface Flags {
  config?: string;
  roles?: string[];
  authServer?: string;
  proxyServer?: string;
  token?: string;
  caPin?: string[];
  nodename?: string;
  pidFile?: string;
  diagAddr?: string;
  dataDir?: string;
}

const env = readClientEnvironment(process.env);
const program = newProgram("teleport", "Auth, Proxy and Application Service, together or apart.");
program
  .command("start")
  .description("run the services of a configuration file until SIGTERM or Ctrl-C")
  .option("-c, --config <file>", "the configuration file (TELEPORT_CONFIG_FILE, else /etc/teleport.yaml)")
  .option("-r, --roles <roles>", "services to run: auth, proxy, app", collectList)
  .option("--auth-server <address>", "address of the Auth Service to join, HOST:PORT")
  .option("--proxy-server <address>", "address of the proxy to join through, HOST:PORT")
  .option("--token <token>", "join token, or the path of a file with it")
  .option("--ca-pin <pin>", "CA pin of the cluster to join", collectList)
  .option("--nodename <name>", "name of this host")
  .option("--pid-file <path>", "where to write the process id")
  .option("--diag-addr <address>", "serve /healthz, /readyz and /metrics here, HOST:PORT")
  .option("--data-dir <path>", "where to keep state")
  .action((flags: Flags) => start(flags));
addConfigureCommand(program);
await runProgram(program);

async function start(flags: Flags): Promise<void> {
  const overrides: StartFlags = {
    debug: program.opts<{ debug?: boolean }>().debug || undefined,
    roles: flags.roles,
    authServer: flags.authServer,
    proxyServer: flags.proxyServer,
    token: flags.token,
    caPins: flags.caPin,
    nodename: flags.nodename,
    pidFile: flags.pidFile,
    diagAddr: flags.diagAddr,
    dataDir: flags.dataDir,
  };
  const file = flags.config ?? env.configFile?.path;
  const config =
    file === undefined
      ? parseTeleportConfig("version: v3\n", "(defaults)", overrides)
      : await loadTeleportConfig(file, overrides);
  // The terminal's Ctrl-C and a service manager's SIGTERM both let connections end in peace.
  const signal = interruption();
  const webRoots = { certFile: env.sslCertFile, certDir: env.sslCertDir };
  await runTeleport(config, { webRoots, dialTcp: outgoing(env) }, signal);
}
