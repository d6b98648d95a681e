/** An app that is not there, one that is down, and a session that was ended elsewhere. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import test from "node:test";
import { type BackgroundProcess, freePort, needs } from "../../src/testkit/mod.ts";
import { connectionsTo, newsOf } from "./connections.ts";
import { EXEC_NEEDS, LoopbackCluster } from "./loopback-cluster.ts";

test("bad apps", needs(...EXEC_NEEDS), async (t) => {
  const downPort = await freePort();
  const apps = [
    { name: "down", uri: `tcp://127.0.0.1:${downPort}` },
    { name: "page", uri: `http://127.0.0.1:${downPort}` },
  ];
  await using cluster = await LoopbackCluster.start({ apps });
  cluster.alias(`:${downPort}`, ":DOWN");

  await t.test("an unknown app, and a web app, by tsh", () => unknownApp(cluster));
  await t.test("an app that is down: connection refused by VNet, and why on stderr", () => downThroughVnet(cluster));
  await t.test("names in the zone that are no TCP app are asked upstream", () => unknownNames(cluster));
  await t.test("an app that is down: reset by the local listener, and why on stderr", () => downThroughProxy(cluster));
  await t.test("a session that was ended elsewhere is replaced", () => endedSession(cluster));
});

async function unknownApp(cluster: LoopbackCluster): Promise<void> {
  const unknown = 'ERROR: app "ehco" not found; "tsh apps ls" lists those you may reach\n';
  const web = 'ERROR: "page" is a web app (HTTP); only TCP apps can be reached in this version\n';
  const lines: [args: string[], code: number, stderr: string][] = [
    [["apps", "login", "ehco"], 1, unknown],
    [["proxy", "app", "ehco"], 1, unknown],
    [["apps", "login", "page"], 1, web],
    [["proxy", "app"], 2, "error: missing required argument 'app'\n(run \"tsh proxy app --help\" for what there is)\n"],
  ];
  for (const [args, code, stderr] of lines) {
    assert.deepEqual(await cluster.says("tsh", args), { code, stdout: "", stderr });
  }
}

async function downThroughVnet(cluster: LoopbackCluster): Promise<void> {
  const command = connectionsTo("down.company.test", 5432);
  await using client = cluster.spawn("tsh", ["vnet", "exec", "--", ...command]);
  client.write("\n");
  const { event, after } = await newsOf(client, 1);
  client.endInput();
  assert.equal((await client.exited).code, 0);
  assert.equal(event, "ECONNREFUSED");
  assert.ok(after < 5_000, `${after} ms`);
  assert.match(
    cluster.comparable(client.output),
    /^TIME WARN connection to down\.company\.test:5432 refused: 127\.0\.0\.1:DOWN refused the connection: is the app running\? /m,
  );
}

/** Inside, `getent` asks VNet, which asks the upstream server; here that knows no such name, or there is none. */
async function unknownNames(cluster: LoopbackCluster): Promise<void> {
  const script =
    "for name in nope.company.test page.company.test echo.company.test; do getent ahostsv4 $name; echo $?; done";
  const env = { RES_OPTIONS: "timeout:2 attempts:1" };
  const { code, stdout } = await cluster.run("tsh", ["vnet", "exec", "--", "sh", "-c", script], { env });
  assert.equal(code, 0);
  assert.match(stdout, /^2\n2\n100\.\d+\.\d+\.\d+ +STREAM echo\.company\.test\n.*\n0\n$/s);
}

async function downThroughProxy(cluster: LoopbackCluster): Promise<void> {
  await using proxy = cluster.spawn("tsh", ["proxy", "app", "down"]);
  assert.equal(await endOfConnection(await listenerOf(proxy)), "ECONNRESET");
  const said = "down: 127.0.0.1:DOWN refused the connection: is the app running?\n";
  assert.ok(cluster.comparable(proxy.output).endsWith(said), proxy.output);
  assert.ok(proxy.running, "the next attempt may succeed");
}

/** A logout in another place ends the sessions of all: the open connection at once, but not the next one. */
async function endedSession(cluster: LoopbackCluster): Promise<void> {
  await using proxy = cluster.spawn("tsh", ["proxy", "app", "echo"]);
  const port = await listenerOf(proxy);
  const open = connect(port, "127.0.0.1");
  open.write("hello");
  await once(open, "data");
  const env = { TELEPORT_HOME: `${cluster.directory}/elsewhere` };
  assert.equal((await cluster.login({ env })).code, 0);
  const cut = once(open, "error");
  await cluster.ok("tsh", ["logout"], { env });
  const [error] = (await cut) as [NodeJS.ErrnoException];
  assert.equal(error.code, "ECONNRESET");
  assert.equal(await endOfConnection(port), "hello");
  assert.doesNotMatch(proxy.output, /echo:/, "nobody is told of what went well");
}

async function listenerOf(proxy: BackgroundProcess): Promise<number> {
  const [, port] = await proxy.waitFor(/^Proxying connections to \S+ on 127\.0\.0\.1:(\d+)$/m);
  return Number(port);
}

/** Connects and says hello: what came back, or the error's code. */
function endOfConnection(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("hello"));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
    socket.once("data", (data) => {
      resolve(data.toString());
      socket.destroy();
    });
  });
}
