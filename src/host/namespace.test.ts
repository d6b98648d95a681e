import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { needs } from "../testkit/mod.ts";

const FIXTURE = fileURLToPath(new URL("./namespace.fixture.ts", import.meta.url));
const EXEC = [process.execPath, "--disable-warning=ExperimentalWarning", FIXTURE];
const UID = process.getuid!();
const inNamespace = needs("tun", "userns", "ip", "unshare", "setpriv");

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

function run(argv: string[], options: { input?: string; env?: NodeJS.ProcessEnv } = {}): Result {
  const { input = "", env = process.env } = options;
  const result = spawnSync(argv[0]!, argv.slice(1), { input, env, encoding: "utf8", timeout: 20_000 });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

const exec = (...command: string[]) => run([...EXEC, ...command]);

test("stdin, stdout, exit code, uid and directory are the command's", inNamespace, () => {
  const result = run([...EXEC, "sh", "-c", "id -u; id -g; pwd; cat; echo talk >&2; exit 7"], { input: "from stdin" });
  assert.deepEqual(result, {
    code: 7,
    stdout: `${UID}\n${process.getgid!()}\n${process.cwd()}\nfrom stdin`,
    stderr: "talk\n",
  });
  assert.equal(exec("sh", "-c", "kill -KILL $$").code, null); // died of a signal, as the command did
  assert.equal(exec("/nonexistent").code, 127);
});

test("inside there is the TUN, lo, and nothing else", inNamespace, () => {
  const { stdout } = exec("sh", "-c", "ip -o address; ip -o route show table all; grep ^Cap[EP] /proc/self/status");
  assert.deepEqual([...new Set(stdout.match(/^\d+: (\S+)/gm))], ["1: lo", "2: tun0"]);
  assert.match(stdout, /inet 100\.64\.0\.1\/32 .*tun0/);
  assert.match(stdout, /inet6 fd12:3456:789a:1::1\/64 .*tun0|inet6 fd12:3456:789a:1::1\/64/);
  assert.match(stdout, /^100\.64\.0\.0\/24 dev tun0/m);
  assert.doesNotMatch(stdout, /default/);
  if (UID !== 0) assert.match(stdout, /CapEff:\s0+$/m);
});

test("datagrams cross the TUN both ways, over both families", inNamespace, () => {
  const program = `
    const echo = (family, address) => new Promise((resolve) => {
      const socket = require("node:dgram").createSocket(family);
      socket.on("message", (m, from) => { socket.close(); resolve(m + " " + from.address); });
      socket.send("ping", 53, address);
    });
    (async () => console.log(await echo("udp4", "100.64.0.9"), await echo("udp6", "fd12:3456:789a:1::9")))();`;
  assert.deepEqual(exec(process.execPath, "-e", program), {
    code: 0,
    stdout: "ping 100.64.0.9 ping fd12:3456:789a:1::9\n",
    stderr: "",
  });
});

test("names are asked of the given servers only, and the host's files stay", inNamespace, () => {
  const before = ["/etc/resolv.conf", "/etc/nsswitch.conf"].map((file) => readFileSync(file, "utf8"));
  const entries = readdirSync(tmpdir()).length;
  const { stdout } = exec("sh", "-c", "cat /etc/resolv.conf; grep ^hosts: /etc/nsswitch.conf; ls /tmp | wc -l");
  const [first, second, hosts, tmpEntries] = stdout.split("\n");
  assert.deepEqual(
    [first, second, hosts],
    ["nameserver 100.64.0.2", "nameserver fd12:3456:789a:1::2", "hosts: files dns"],
  );
  if (tmpdir() === "/tmp") assert.ok(Math.abs(Number(tmpEntries) - entries) < 20, "/tmp is the host's again");
  assert.deepEqual(
    ["/etc/resolv.conf", "/etc/nsswitch.conf"].map((file) => readFileSync(file, "utf8")),
    before,
  );
});

test("SIGTERM, SIGHUP and SIGINT reach the command once", inNamespace, async () => {
  for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) {
    const name = signal.slice(3);
    const child = start("sh", "-c", `trap 'echo caught' ${name}; echo ready; while :; do sleep 0.05; done`);
    await line(child, "ready");
    child.kill(signal);
    await line(child, "caught");
    child.kill("SIGKILL");
    assert.deepEqual(await ended(child), [null, "SIGKILL"]);
  }
});

test("an abort ends the command", inNamespace, () => {
  const started = performance.now();
  const result = run([...EXEC, "sleep", "30"], { env: { ...process.env, ABORT_AFTER_MS: "400" } });
  assert.equal(result.code, null);
  assert.ok(performance.now() - started < 5_000);
});

test("the command does not outlive a kill -9 of its caller", inNamespace, async () => {
  const child = start("sh", "-c", "echo $$; exec sleep 30");
  const pid = (await line(child, "")).trim();
  assert.ok(existsSync(`/proc/${pid}`));
  child.kill("SIGKILL");
  await ended(child);
  for (let waited = 0; isRunning(pid) && waited < 1_000; waited += 20) await wait(20);
  assert.ok(!isRunning(pid), "the command is still there");
});

const hasScript = existsSync("/usr/bin/script") ? {} : { skip: "needs script (bsdutils)" };
test("at a terminal the command has it, and Ctrl-C arrives once", { ...inNamespace, ...hasScript }, async () => {
  const inner = `
    process.on("SIGINT", () => { console.log("caught"); setTimeout(process.exit, 200, 4); });
    console.log(require("node:fs").readlinkSync("/proc/self/fd/0"));
    setTimeout(() => {}, 5000);`;
  const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
  const command = [...EXEC, process.execPath, "-e", inner].map(quote).join(" ");
  // `exec`, for a shell in between (dash keeps itself there) would die of the Ctrl-C.
  const child = spawn("script", ["-qefc", `exec ${command}`, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
  const output = await line(child, "/dev/pts/");
  child.stdin.write("\x03");
  const rest = text(child);
  assert.deepEqual(await ended(child), [4, null]);
  assert.equal((output + (await rest)).match(/caught/g)?.length, 1);
});

// --- What may be missing. Each in a mount namespace, so that the machine is not touched.

const SELF = EXEC.map((word) => `'${word}'`).join(" ");
const prepared = (script: string) => run(["unshare", "-m", "sh", "-ec", `mount -t tmpfs private /mnt; ${script}`]);
const asNobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";

test("an ordinary user needs a device of mode 0666, and is told so", needs("root", "userns"), () => {
  const tun = (mode: number) => `mknod -m ${mode} /mnt/tun c 10 200; mount --bind /mnt/tun /dev/net/tun`;
  const refused = prepared(`${tun(600)}; exec ${asNobody} ${SELF} true`);
  assert.equal(refused.code, 99);
  assert.match(
    refused.stderr,
    /^tun\.unavailable: \/dev\/net\/tun may not be opened by this user: its mode should be 0666/,
  );

  const allowed = prepared(`${tun(666)}; exec ${asNobody} ${SELF} sh -c 'id -u; head -n 1 /etc/resolv.conf'`);
  assert.deepEqual(allowed, { code: 0, stdout: "65534\nnameserver 100.64.0.2\n", stderr: "" });
});

test("a program that is missing is named with its package", needs("root"), () => {
  const ip = run(["sh", "-c", "command -v ip"]).stdout.trim();
  const result = prepared(`: >/mnt/none; for f in ${ip} /bin/ip /sbin/ip /usr/bin/ip /usr/sbin/ip; do
    if [ -e $f ]; then mount --bind /mnt/none $f; fi; done; exec ${SELF} true`);
  assert.equal(
    result.stderr,
    'host.program-missing: ip is not installed; it is in the package iproute2 ("apt install iproute2")\n',
  );
});

test("forbidden user namespaces: the setting is named", needs("root", "userns"), () => {
  // The limit is per user namespace, so it can be tried in one; without capabilities, as an ordinary user.
  const script = `echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all --inh-caps=-all ${SELF} true`;
  const result = run(["unshare", "-Ur", "sh", "-ec", script]);
  assert.match(
    result.stderr,
    /host\.namespace: user namespaces are forbidden here: "sysctl -w user\.max_user_namespaces=10000"/,
  );
});

test("resolv.conf may be a link, into systemd-resolved's directory or to nowhere", needs("root", "tun", "ip"), () => {
  const etc =
    "mkdir /mnt/u /mnt/w; mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/u,workdir=/mnt/w /etc; rm /etc/resolv.conf";
  const show = `exec ${SELF} sh -c 'cat /etc/resolv.conf; ls /run/systemd/resolve; test -e /etc/passwd'`;
  const resolved = "mount -t tmpfs run /run; mkdir -p /run/systemd/resolve; : >/run/systemd/resolve/io.systemd.Resolve";
  const servers = "nameserver 100.64.0.2\nnameserver fd12:3456:789a:1::2\n";

  const stub = prepared(`${etc}; ${resolved}; echo host >/run/systemd/resolve/stub-resolv.conf
    ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf; ${show}`);
  assert.deepEqual(stub, { code: 0, stdout: `${servers}stub-resolv.conf\n`, stderr: "" });

  const dangling = prepared(`${etc}; ${resolved}; ln -s ../run/nothing/here /etc/resolv.conf; ${show}`);
  assert.deepEqual(dangling, { code: 0, stdout: servers, stderr: "" });
});

// --- Children with lines of output

function start(...command: string[]): ChildProcess {
  return spawn(EXEC[0]!, [...EXEC.slice(1), ...command], { stdio: ["ignore", "pipe", "inherit"] });
}

/** Output up to the end of the first line that contains `part`. */
function line(child: ChildProcess, part: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = "";
    const onData = (data: Buffer) => {
      output += data;
      if (!output.slice(output.indexOf(part)).includes("\n") || !output.includes(part)) return;
      child.stdout!.removeListener("data", onData);
      resolve(output);
    };
    child.stdout!.on("data", onData);
    child.once("exit", () => reject(new Error(`ended after ${JSON.stringify(output)}`)));
  });
}

async function text(child: ChildProcess): Promise<string> {
  let output = "";
  child.stdout!.on("data", (data) => {
    output += data;
  });
  await once(child, "exit");
  return output;
}

async function ended(child: ChildProcess): Promise<[number | null, string | null]> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return [child.exitCode, child.signalCode];
}

/** A zombie that nobody has reaped yet does not run. */
function isRunning(pid: string): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
