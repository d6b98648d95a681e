import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { needs } from "../testkit/mod.ts";

// A host of its own: network and mount namespace, a private /etc, two name
// servers, an address and a neighbour as gateway.
const SETUP = `
mount -t tmpfs private /mnt; mkdir /mnt/up /mnt/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/up,workdir=/mnt/work /etc
printf 'nameserver 198.51.100.1\\nnameserver 198.51.100.2\\noptions rotate edns0\\nsearch corp.test\\n' >/etc/resolv.conf
ip link set lo up; ip address add 192.168.7.10/24 dev lo
echo ready; exec sleep 1000`;

const FIXTURE = fileURLToPath(new URL("./launch.fixture.ts", import.meta.url));
const NODE = [process.execPath, "--disable-warning=ExperimentalWarning"];
const NOBODY = "65534";
const asRoot = needs("root", "tun", "ip", "unshare", "setpriv", "nsenter");
const ready = Object.keys(asRoot).length === 0;

let host: ChildProcess;
before(async () => {
  if (!ready) return;
  host = spawn("unshare", ["-nm", "sh", "-ec", SETUP], { stdio: ["ignore", "pipe", "inherit"] });
  await once(host.stdout!, "data");
});
after(() => void host?.kill("SIGKILL"));

const launched: ChildProcess[] = [];
afterEach(async () => {
  // After a failed test only; the guards then leave the next one a clean host.
  for (const launcher of launched.splice(0)) {
    launcher.kill("SIGTERM");
    await exitCode(launcher);
  }
});

const inHost = (...command: string[]) => ["nsenter", "-t", `${host.pid}`, "-n", "-m", "--", ...command];

function output(...command: string[]): string {
  const [program, ...args] = inHost(...command);
  return execFileSync(program!, args, { encoding: "utf8" });
}

/** All that VNet may change. */
function snapshot(): string {
  return output(
    "sh",
    "-c",
    `ip rule; ip -6 rule; ip route show table all; ip -6 route show table all; ip -o address | sed 's/ *$//'
     ls /etc | grep -i -e resolv -e vnet; cat /etc/resolv.conf`,
  );
}

interface Launched {
  launcher: ChildProcess;
  /** Of the user process. */
  pid: number;
  text: string;
}

async function start(env: NodeJS.ProcessEnv = {}): Promise<Launched> {
  const [program, ...args] = inHost(...NODE, FIXTURE, "launcher");
  const launcher = spawn(program!, args, {
    stdio: ["ignore", "pipe", "inherit"],
    env: { PATH: process.env.PATH, SUDO_UID: NOBODY, ...env },
  });
  launched.push(launcher);
  let text = "";
  launcher.stdout!.on("data", (data) => {
    text += data;
  });
  while (!/ready \d+/.test(text) && launcher.exitCode === null) await wait(5);
  return { launcher, text, pid: Number(/ready (\d+)/.exec(text)?.[1]) };
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode;
}

async function backTo(before: string): Promise<void> {
  const deadline = performance.now() + 1_000;
  while (snapshot() !== before && performance.now() < deadline) await wait(20);
  assert.equal(snapshot(), before);
}

test("the host is configured, unprivileged code runs on it, and all is undone", asRoot, async () => {
  const before = snapshot();
  const { launcher, pid, text } = await start();
  assert.match(text, /refused: the range 192\.168\.0\.0\/16 contains an address of this host, 192\.168\.7\.10/);
  assert.match(text, /^by file, upstreams 198\.51\.100\.1,198\.51\.100\.2, taken .*192\.168\.7\.10\/32/m);

  assert.equal(
    output("cat", "/etc/resolv.conf").replace(/^#.*\n/gm, ""),
    "nameserver 100.64.0.2\nnameserver 198.51.100.1\nnameserver 198.51.100.2\noptions edns0\nsearch corp.test\n",
  );
  assert.deepEqual(
    output("ip", "rule")
      .split("\n")
      .filter((line) => line.includes("176")),
    [
      "5190:\tfrom all to 100.64.0.2 lookup 30318 proto 176",
      "5191:\tfrom all iif lo uidrange 65534-65534 lookup 30318 proto 176",
      "5192:\tfrom all iif lo uidrange 0-0 lookup 30318 proto 176",
      "5193:\tfrom all to 100.64.0.0/24 prohibit proto 176",
    ],
  );
  assert.deepEqual(
    output("sh", "-c", "ip route show table 30318; ip -6 route show table 30318")
      .trim()
      .split("\n")
      .map((line) => line.trim()),
    [
      "100.64.0.0/24 dev tsh-vnet proto 176 scope link congctl reno",
      "unreachable 100.64.0.0/24 proto 176 metric 4294967295",
      "fd12:3456:789a:1::/64 dev tsh-vnet proto 176 metric 1024 congctl reno pref medium",
      "unreachable fd12:3456:789a:1::/64 dev lo proto 176 metric 4294967295 pref medium",
    ],
  );
  assert.doesNotMatch(output("sh", "-c", "ip route; ip -6 route"), /tsh-vnet/); // main stays as it was

  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  assert.match(status, /^Uid:\t65534\t65534\t65534\t65534$/m);
  assert.match(status, /^NoNewPrivs:\t1$/m);
  for (const set of ["Inh", "Prm", "Eff", "Bnd", "Amb"]) assert.match(status, new RegExp(`^Cap${set}:\t0+$`, "m"));
  const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").sort();
  assert.ok(environment.includes("HOME=/nonexistent") && environment.every((entry) => !entry.startsWith("SUDO_")));

  assert.equal(await answer(NOBODY, "100.64.0.9"), "answered");
  assert.equal(await answer(NOBODY, "fd12:3456:789a:1::9"), "answered");
  assert.equal(await answer("65533", "100.64.0.2"), "answered"); // DNS is everyone's
  assert.equal(await answer("65533", "100.64.0.9"), "EACCES"); // and nothing else

  launcher.kill("SIGTERM");
  assert.equal(await exitCode(launcher), 6);
  assert.equal(snapshot(), before); // at once, not within a second
});

test("with --all-users everyone on this host is let in", asRoot, async () => {
  const { launcher } = await start({ ALL_USERS: "1" });
  assert.equal(await answer("65533", "100.64.0.9"), "answered");
  launcher.kill("SIGINT");
  await exitCode(launcher);
});

test("kill -9 of the launcher leaves nothing", asRoot, async () => {
  const before = snapshot();
  const { launcher, pid } = await start();
  assert.notEqual(snapshot(), before);
  launcher.kill("SIGKILL");
  await backTo(before);
  for (let waited = 0; isRunning(pid) && waited < 1_000; waited += 20) await wait(20);
  assert.ok(!isRunning(pid), "the user process has ended");
});

test("kill -9 of the user process ends the launcher and leaves nothing", asRoot, async () => {
  const before = snapshot();
  const { launcher, pid } = await start();
  process.kill(pid, "SIGKILL");
  assert.equal(await exitCode(launcher), 1);
  assert.equal(snapshot(), before);
});

test("what remains when the guard is killed too, the next start removes", asRoot, async () => {
  const before = snapshot();
  const { launcher, pid } = await start();
  const guard = childrenOf(launcher.pid!).find((child) => child !== pid);
  for (const victim of [guard!, launcher.pid!, pid]) process.kill(victim, "SIGKILL");
  await exitCode(launcher);
  await wait(100);
  assert.match(snapshot(), /unreachable 100\.64\.0\.0\/24/);
  assert.match(snapshot(), /nameserver 100\.64\.0\.2/);
  // The backstop routes: a query to the dead server fails instead of being lost, so libc asks the next one at once.
  assert.equal(await answer("65533", "100.64.0.2"), "EHOSTUNREACH");
  assert.equal(await answer(NOBODY, "100.64.0.9"), "EHOSTUNREACH");

  const next = await start();
  assert.match(next.text, /upstreams 198\.51\.100\.1,198/); // the host's own again, not the dead VNet's
  next.launcher.kill("SIGTERM");
  await exitCode(next.launcher);
  assert.equal(snapshot(), before);
});

test("kill -9 of the guard alone: another takes its place, and nothing is disturbed", asRoot, async () => {
  const before = snapshot();
  const { launcher, pid } = await start();
  const running = snapshot();
  const guardOf = () => childrenOf(launcher.pid!).find((child) => child !== pid && child !== 0);
  const first = guardOf()!;
  process.kill(first, "SIGKILL");
  for (let waited = 0; [undefined, first].includes(guardOf()) && waited < 1_000; waited += 5) await wait(5);
  assert.equal(snapshot(), running);
  launcher.kill("SIGKILL");
  await backTo(before);
});

test("kill -9 of the guard when VNet ends: all is undone nevertheless", asRoot, async () => {
  const before = snapshot();
  const { launcher, pid } = await start();
  const guard = childrenOf(launcher.pid!).find((child) => child !== pid)!;
  launcher.kill("SIGTERM");
  process.kill(guard, "SIGKILL");
  assert.equal(await exitCode(launcher), 6);
  assert.equal(snapshot(), before);
});

test("a second VNet on the host is refused and disturbs nothing", asRoot, async () => {
  const { launcher } = await start();
  const running = snapshot();
  const second = await start();
  assert.equal(await exitCode(second.launcher), 99);
  assert.match(second.text, new RegExp(`already, started by nobody \\(pid ${launcher.pid}\\); end it before`));
  assert.equal(snapshot(), running);
  launcher.kill("SIGTERM");
  await exitCode(launcher);
});

/** Sends a datagram as `uid`, and says what came of it. */
async function answer(uid: string, address: string): Promise<string> {
  const program = `
    const socket = require("node:dgram").createSocket(${JSON.stringify(address.includes(":") ? "udp6" : "udp4")});
    const end = (text) => { console.log(text); process.exit(); };
    socket.on("error", (error) => end(error.code));
    socket.on("message", () => end("answered"));
    socket.send("x", 53, ${JSON.stringify(address)}, (error) => error && end(error.code));
    setTimeout(end, 1000, "silence");`;
  return output("setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", process.execPath, "-e", program).trim();
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);
}

/** A zombie that nobody has reaped yet does not run. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
