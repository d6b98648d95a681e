/** An agent and a proxy that are gone, without a word (kill -9): what open and new connections get, and when. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { sleep } from "../../src/base/mod.ts";
import { BackgroundProcess, needs } from "../../src/testkit/mod.ts";
import { connectionsTo, endOf, type Happening, newsOf } from "./connections.ts";
import { EXEC_NEEDS, LoopbackCluster } from "./loopback-cluster.ts";

/** The bounds. */
const RESET_MS = 15_000;
const REFUSED_MS = 5_000;
/** An agent tries a lost proxy at least every 4 s (PROTOCOL section 4), and a client again at the next attempt. */
const BACK_MS = 15_000;

test("what is gone", needs(...EXEC_NEEDS), async (t) => {
  await using cluster = await LoopbackCluster.start({ apart: true });
  const command = connectionsTo("echo.company.test", 7);
  await using vnet = cluster.spawn("tsh", ["vnet", "exec", "--", ...command]);
  await using listener = cluster.spawn("tsh", ["proxy", "app", "echo"]);
  const port = (await listener.waitFor(/on 127\.0\.0\.1:(\d+)$/m))[1];
  await using local = new BackgroundProcess("client", connectionsTo("127.0.0.1", Number(port)));
  const paths = [new Path("VNet", vnet), new Path("tsh proxy app", local)];
  for (const path of paths) assert.equal((await path.open()).event, "echo");

  await t.test("agent killed", (t) => gone(t, paths, () => cluster.agent!.stop("SIGKILL")));
  await t.test("agent back", async (t) => {
    cluster.agent = await cluster.startAgent();
    await back(t, paths);
  });
  const held = paths.map((path) => path.last);
  const holds = () => paths.every((path, i) => path.holds(held[i]!));
  await t.test("proxy killed: new connections are refused, open ones wait", async (t) => {
    await cluster.teleport.stop("SIGKILL");
    await refused(t, paths);
    assert.equal(holds(), true);
  });
  await t.test("proxy back", async (t) => {
    await cluster.startTeleport();
    await back(t, paths);
    assert.equal(holds(), true, "they go on");
  });
});

/** One way to the app: a program that holds connections. */
class Path {
  readonly name: string;
  readonly #client: BackgroundProcess;
  #last = 0;

  constructor(name: string, client: BackgroundProcess) {
    this.name = name;
    this.#client = client;
  }

  /** One more connection. */
  open(): Promise<Happening> {
    this.#client.write("\n");
    return newsOf(this.#client, ++this.#last);
  }

  /** The number of the last one that was opened. */
  get last(): number {
    return this.#last;
  }

  /** Whether nothing has ended the connection of this number. */
  holds(id: number): boolean {
    return !new RegExp(`^\\{"id":${id},"event":"(?!echo)`, "m").test(this.#client.output);
  }

  /** The end of the last one that was opened. */
  ended(): Promise<Happening> {
    return endOf(this.#client, this.#last);
  }
}

async function gone(t: TestContext, paths: Path[], kill: () => Promise<unknown>): Promise<void> {
  const before = Date.now();
  await kill();
  for (const path of paths) {
    const { event, at } = await path.ended();
    t.diagnostic(`${path.name}: open connection ${event} after ${at - before} ms`);
    assert.equal(event, "ECONNRESET", path.name);
    assert.ok(at - before <= RESET_MS, path.name);
  }
  await refused(t, paths);
}

async function refused(t: TestContext, paths: Path[]): Promise<void> {
  for (const path of paths) {
    const { event, after } = await path.open();
    t.diagnostic(`${path.name}: new connection ${event} after ${after} ms`);
    // A local listener has accepted before it can ask.
    assert.match(event, path.name === "VNet" ? /^ECONNREFUSED$/ : /^ECONNRESET$/, path.name);
    assert.ok(after <= REFUSED_MS, path.name);
  }
}

/** Without a restart of tsh. */
async function back(t: TestContext, paths: Path[]): Promise<void> {
  const since = performance.now();
  for (const path of paths) {
    while ((await path.open()).event !== "echo") {
      assert.ok(performance.now() - since < BACK_MS, path.name);
      await sleep(100);
    }
    t.diagnostic(`${path.name}: works ${Math.round(performance.now() - since)} ms after the start`);
  }
}
