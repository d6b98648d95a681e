/**
 * Runs inside the new namespaces, as their root, before the command does:
 * makes the TUN, its addresses and routes, and the private name service files,
 * then hands the TUN's descriptor out over descriptor 3 and waits for leave to
 * end. Answers with a `HelperAnswer` instead when something fails.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { messageOf, OperationError } from "../base/mod.ts";
import { TUN_ROUTE } from "../oscfg/mod.ts";
import { openTunDescriptor, sendDescriptor, TUN_QUEUE_LEN } from "../tun/mod.ts";
import { hasIpv6 } from "./ipv6.ts";

export interface HelperSetup {
  /** Paths of programs. */
  readonly ip: string;
  readonly mount: string;
  readonly umount: string;
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
  readonly dns: readonly string[];
  readonly mtu: number;
  /** The caller's, as this namespace sees it. */
  readonly gid: number;
  readonly userNamespace: boolean;
}

/** Sent without a descriptor: why there is none. */
export interface HelperAnswer {
  readonly code: string;
  readonly message: string;
}

const SOCKET = 3;

function main(setup: HelperSetup): void {
  try {
    const { fd, name } = openTunDescriptor();
    configureNetwork(setup, name);
    mountNameService(setup);
    sendDescriptor(SOCKET, fd);
    closeSync(fd);
  } catch (error) {
    const code = error instanceof OperationError ? error.code : "host.namespace";
    const answer: HelperAnswer = { code, message: messageOf(error).slice(0, 1_000) };
    sendDescriptor(SOCKET, undefined, Buffer.from(JSON.stringify(answer)));
    process.exit(1);
  }
  // One octet: the command may start. None: our caller is gone.
  process.exit(readSync(SOCKET, new Uint8Array(1)) === 1 ? 0 : 1);
}

function configureNetwork(setup: HelperSetup, name: string): void {
  const ipv6 = hasIpv6();
  const usable = (cidr: string) => !cidr.includes(":") || ipv6;
  const lines = [
    "link set lo up",
    `link set ${name} mtu ${setup.mtu} txqueuelen ${TUN_QUEUE_LEN} addrgenmode none`,
    `link set ${name} up`,
    ...setup.addresses.filter(usable).map((a) => `address add ${a} dev ${name}${a.includes(":") ? " nodad" : ""}`),
    ...setup.routes.filter(usable).map((route) => `route replace ${route} dev ${name} ${TUN_ROUTE.join(" ")}`),
  ];
  run(setup.ip, ["-batch", "-"], `${lines.join("\n")}\n`);
  // Lets `ping` work without a capability, which no file can give in a user namespace (icmp(7)).
  const gid = setup.userNamespace ? 0 : setup.gid;
  writeFileSync("/proc/sys/net/ipv4/ping_group_range", `${gid} ${gid}`);
}

/**
 * Private name service files. They live on a tmpfs that is mounted over /tmp
 * only while they are bound to their places, so nothing is ever written to the
 * host's disk.
 */
function mountNameService(setup: HelperSetup): void {
  const { mount, umount } = setup;
  const bind = (from: string, to: string) => run(mount, ["--bind", from, to]);
  const resolvConf = `${setup.dns.map((server) => `nameserver ${server}`).join("\n")}\n`;
  const nsswitch = filesThenDns("/etc/nsswitch.conf");
  const target = linkTarget("/etc/resolv.conf");

  run(mount, ["-t", "tmpfs", "-o", "mode=755,size=1m", "tmpfs", "/tmp"]);
  writeFileSync("/tmp/resolv.conf", resolvConf);
  writeFileSync("/tmp/nsswitch.conf", nsswitch ?? "");
  for (const dir of DAEMON_DIRS.filter(isDirectory)) {
    const empty = join("/tmp", dir.replaceAll("/", "-"));
    mkdirSync(empty);
    // resolv.conf is often a link into this directory.
    if (dirname(target) === dir) writeFileSync(join(empty, target.slice(dir.length + 1)), resolvConf);
    bind(empty, dir);
  }
  if (existsSync(target)) bind("/tmp/resolv.conf", target);
  else replaceDanglingLink(mount, "/etc", "resolv.conf", resolvConf);
  if (nsswitch !== undefined) bind("/tmp/nsswitch.conf", realpathSync("/etc/nsswitch.conf"));
  run(umount, ["-l", "/tmp"]);
}

/** glibc asks these daemons over Unix sockets, which no network namespace hides. */
const DAEMON_DIRS = ["/run/systemd/resolve", "/run/nscd"];

/** The host's file with its `hosts:` line replaced; `undefined` where there is none (musl). */
function filesThenDns(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  const others = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => !/^\s*hosts:/.test(line));
  return ["hosts: files dns", ...others].join("\n");
}

/** Where a link leads, whether or not anything is there. */
function linkTarget(path: string): string {
  for (let hops = 0; hops < 8 && isLink(path); hops++) path = resolve(dirname(path), readlinkSync(path));
  return existsSync(dirname(path)) ? join(realpathSync(dirname(path)), path.slice(dirname(path).length + 1)) : path;
}

/** A file that does not exist cannot be mounted upon: its directory gets an overlay. */
function replaceDanglingLink(mount: string, dir: string, name: string, content: string): void {
  mkdirSync("/tmp/upper");
  mkdirSync("/tmp/work");
  mkdirSync("/tmp/etc");
  run(mount, ["-t", "overlay", "-o", `lowerdir=${dir},upperdir=/tmp/upper,workdir=/tmp/work`, "overlay", "/tmp/etc"]);
  execFileSync("rm", ["-f", join("/tmp/etc", name)]);
  writeFileSync(join("/tmp/etc", name), content);
  run(mount, ["--move", "/tmp/etc", dir]);
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function run(program: string, args: readonly string[], input = ""): void {
  try {
    execFileSync(program, args, { input, stdio: ["pipe", "ignore", "pipe"] });
  } catch (error) {
    const stderr = String((error as { stderr?: unknown }).stderr ?? "").trim();
    throw new Error(`setting up the command's network failed: ${stderr || messageOf(error)}`);
  }
}

main(JSON.parse(process.argv[2] ?? "") as HelperSetup);
