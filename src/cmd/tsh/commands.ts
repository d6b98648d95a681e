import { type Command, Option } from "commander";
import type { DnsManager } from "../../host/mod.ts";
import {
  addFilters,
  type Format,
  formatOption,
  type LocalPort,
  parseAddress,
  parseIpv4Cidr,
  parseLocalPort,
  parseMinutes,
} from "../cli/arguments.ts";
import { UsageError } from "../cli/program.ts";
import type { LoginFlags } from "./login.ts";
import type { AddDeviceFlags, ListDevicesFlags } from "./mfa.ts";
import type { Tsh } from "./session.ts";
import type { HostFlags } from "./vnet.ts";
import type { ExecFlags } from "./vnet-exec.ts";
import type { ExplainFlags } from "./vnet-explain.ts";
import type { LauncherFlags } from "./vnet-launcher.ts";

type Labels = Readonly<Record<string, string>>;

interface ListOptions {
  verbose: boolean;
  cluster?: string;
  format: Format;
  search?: string[];
  query?: string;
}

/** Run by the root launcher under the user's own uid; nobody types it. */
const USER_PROCESS = "vnet-user-process";

/**
 * What `tsh` understands. Each command's code is loaded when it runs: `tsh vnet`
 * as root must load no certificate, link or schema code (DESIGN: the launcher).
 */
export function addCommands(program: Command, tsh: () => Promise<Tsh>, command: readonly string[]): void {
  addLoginCommands(program, tsh);
  addMfaCommands(program, tsh);
  addAppCommands(program, tsh);
  addVnetCommands(program, tsh, command);
}

function addLoginCommands(program: Command, tsh: () => Promise<Tsh>): void {
  const login = () => import("./login.ts");
  program
    .command("login")
    .description("log in to a cluster; password and code come from the terminal, or from lines of standard input")
    .option("--ca-pin <pin>", "sha256:… of the cluster's host CA, as tctl status prints it")
    .option("--auth <way>", "local: with a password; passwordless: with a passkey alone (TELEPORT_AUTH)")
    .option("--browser <none>", "none: print the address of the page for passkeys, and open nothing")
    .option("--ttl <minutes>", "how long the login is valid", parseMinutes)
    .addOption(formatOption())
    .action(async (o: LoginFlags & { format: Format }) => (await login()).login(await tsh(), o, o.format));
  program
    .command("logout")
    .description("end the login named by --proxy and --user, or all of them")
    .addOption(formatOption())
    .action(async (o: { format: Format }) => (await login()).logout(await tsh(), o.format));
  program
    .command("env")
    .description('print what makes a shell use this login: eval "$(tsh env)"')
    .option("--unset", "print what ends that", false)
    .addOption(formatOption())
    .action(async (o: { unset: boolean; format: Format }) =>
      (await import("./env.ts")).printEnvironment(await tsh(), o),
    );
  program
    .command("status")
    .description("print who is logged in, where and for how long")
    .addOption(formatOption())
    .action(async (o: { format: Format }) => (await login()).status(await tsh(), o.format));
}

function addMfaCommands(program: Command, tsh: () => Promise<Tsh>): void {
  const code = () => import("./mfa.ts");
  const mfa = program.command("mfa").description("your second factors");
  mfa
    .command("ls")
    .description("list your MFA devices")
    .option("-v, --verbose", "print their ids too", false)
    .addOption(formatOption())
    .action(async (o: ListDevicesFlags) => (await code()).listDevices(await tsh(), o));
  mfa
    .command("add")
    .description("add an authenticator app or a passkey, confirmed by a device that you have")
    .option("--type <type>", "TOTP or WEBAUTHN; asked for without it")
    .option("--name <name>", "the device's name; asked for without it")
    .option("--allow-passwordless", "of a passkey: it shall also log in without a password")
    .addOption(formatOption())
    .action(async (o: AddDeviceFlags) => (await code()).addDevice(await tsh(), o));
  mfa
    .command("rm")
    .description("remove an MFA device, confirmed by a device that you have")
    .argument("<name>")
    .addOption(formatOption())
    .action(async (name: string, o: { format: Format }) => (await code()).removeDevice(await tsh(), name, o.format));
}

function addAppCommands(program: Command, tsh: () => Promise<Tsh>): void {
  const code = () => import("./apps.ts");
  const apps = program.command("apps").description("applications that you may reach");
  addFilters(apps.command("ls").description("list applications"), { labels: "argument" })
    .option("-v, --verbose", "print URIs too", false)
    .addOption(clusterOption())
    .addOption(formatOption())
    .action(async (labels: Labels | undefined, { search, query, ...o }: ListOptions) =>
      (await code()).listApps(await tsh(), o, { labels, search, query }),
    );
  apps
    .command("login")
    .description("get a short-lived certificate for an application")
    .argument("<app>")
    .addOption(clusterOption())
    .addOption(formatOption())
    .action(async (app: string, o: { cluster?: string; format: Format }) =>
      (await code()).loginToApp(await tsh(), app, o),
    );
  program
    .command("clusters")
    .description("list clusters")
    .addOption(formatOption())
    .action(async (o: { format: Format }) => (await code()).listClusters(await tsh(), o.format));
  program
    .command("proxy")
    .description("local listeners")
    .command("app")
    .description("listen on 127.0.0.1 and connect each client to an application")
    .argument("<app>")
    .option("-p, --port <port>", "local port (by default a free one), or LOCAL:TARGET", parseLocalPort)
    .addOption(clusterOption())
    .action(async (app: string, o: { port?: LocalPort; cluster?: string }) =>
      (await code()).proxyApp(await tsh(), app, o.port ?? { local: 0, target: 0 }, o.cluster),
    );
}

/** `command`: what stands behind `--`, options and all. */
function addVnetCommands(program: Command, tsh: () => Promise<Tsh>, command: readonly string[]): void {
  const code = () => import("./vnet.ts");
  const vnet = program
    .command("vnet")
    .description("reach every TCP app of every cluster you are logged in to by its DNS name, from any program")
    .option("--all-users", "let every user of this machine in, not only you", false)
    .addOption(dnsManagerOption())
    .addOption(ipv4CidrOption())
    .addOption(ipv4OnlyOption())
    .addOption(diagAddrOption())
    .action(async (o: LauncherFlags) => {
      const { serveHost } = await import("./vnet-launcher.ts");
      const debug = program.opts<{ debug?: boolean }>().debug === true;
      await serveHost({ ...o, debug, userProcess: USER_PROCESS });
    });
  vnet
    .command("exec")
    .description(
      "run one command with VNet, without root, in a network of its own: VNet's apps and DNS, and all else that this " +
        "machine reaches by TCP and UDP, but not its loopback",
    )
    .usage("[options] -- COMMAND [ARGUMENTS...]")
    .option("--isolated", "no network but VNet's apps and DNS", false)
    .addOption(diagAddrOption())
    .option("--map-host-loopback <address>", "an address that leads to this machine's own loopback", parseAddress)
    .action(async (_: unknown, self: Command) => {
      if (command.length === 0) {
        throw new UsageError('no command: say it after two dashes, as in "tsh vnet exec -- psql postgres://…"');
      }
      const flags = self.optsWithGlobals<ExecFlags>(); // Those that both have, `vnet` has taken.
      await (await import("./vnet-exec.ts")).runCommand(await tsh(), command, flags);
    });
  vnet
    .command("status")
    .description("print what runs: device, addresses, zones, and connections by app")
    .addOption(formatOption())
    .action(async (o: { format: Format }) => (await import("./vnet-status.ts")).printStatus(await tsh(), o.format));
  vnet
    .command("diag")
    .description(
      "look at what runs from outside: device, routes, DNS server by each transport, each zone; " +
        "say what is wrong and what to do; exit code 1 if something is",
    )
    .addOption(formatOption())
    .action(async (o: { format: Format }) => (await import("./vnet-diag.ts")).printDiagnosis(await tsh(), o.format));
  vnet
    .command("explain")
    .description(
      "walk one name through VNet, its app's agent and server, and say where it stops, and why; exit code 1 if it does",
    )
    .argument("<name[:port]>")
    .option("--no-connect", "do not open a connection to the app; its agent and server are not asked then")
    .addOption(formatOption())
    .action(async (name: string, o: ExplainFlags) =>
      (await import("./vnet-explain.ts")).explainName(await tsh(), name, o),
    );
  program
    .command(USER_PROCESS, { hidden: true })
    .addOption(ipv4CidrOption())
    .addOption(ipv4OnlyOption())
    .addOption(diagAddrOption())
    .action(async (o: HostFlags) => (await code()).serveFromLauncher(await tsh(), o));
}

function clusterOption(): Option {
  return new Option("--cluster <name>", "a leaf cluster of the one you are logged in to (see tsh clusters)");
}

function dnsManagerOption(): Option {
  const managers = ["systemd-resolved", "openresolv", "resolvconf", "file", "none"] satisfies DnsManager[];
  return new Option(
    "--dns-manager <name>",
    "who is told about VNet's names, if not the one found: " +
      'a program, "file" (/etc/resolv.conf itself) or "none" (you do it)',
  ).choices(managers);
}

function ipv4CidrOption(): Option {
  return new Option(
    "--ipv4-cidr <range>",
    "IPv4 addresses for VNet's names, instead of each cluster's range",
  ).argParser(parseIpv4Cidr);
}

function ipv4OnlyOption(): Option {
  return new Option("--ipv4-only", "give VNet's names no IPv6 addresses").default(false);
}

function diagAddrOption(): Option {
  return new Option("--diag-addr <host:port>", "serve Prometheus metrics of this VNet here, on loopback best");
}
