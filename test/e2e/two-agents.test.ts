/** Two agents of one app, each a process: one drains, one is killed, while streams are live. */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import test from "node:test";
import { sleep } from "../../src/base/mod.ts";
import { LoopbackCluster } from "./loopback-cluster.ts";

/** The bounds. */
const RESET_MS = 15_000;
const ELSEWHERE_MS = 5_000;
/** `teleport` lets streams go on for this long after SIGTERM. */
const GRACE_MS = 5_000;

test("two agents of one app", async (t) => {
  await using cluster = await LoopbackCluster.start({ apart: true });
  await cluster.writeAgentConfig("second", [{ name: "echo", uri: `tcp://127.0.0.1:${cluster.echoPort}` }]);
  await using second = await cluster.startAgent("second.yaml");
  const first = cluster.agent!;
  const users = [await Way.start(cluster), await Way.start(cluster)];

  await t.test("tctl and tsh tell of both, and of their health", async () => {
    const told = await eventually(
      () => cluster.ok("tctl", ["apps", "ls"]),
      (text) => text.match(/ healthy /g)?.length === 2,
    );
    assert.match(told, /^Host +Name +Public Address +URI +Health /m);
    assert.match(await cluster.ok("tsh", ["apps", "ls", "-v"]), / healthy /);
  });

  await t.test("SIGTERM: open streams go on, new ones go to the other, then the process ends", async () => {
    const live = await Promise.all(users.map((way) => way.stream()));
    // Least load: one is on each agent.
    first.signal("SIGTERM");
    await first.waitFor(/shutting down/);
    for (const way of users) {
      const started = performance.now();
      assert.equal(await (await way.stream()).end(), "end");
      assert.ok(performance.now() - started < ELSEWHERE_MS);
    }
    await sleep(1_500);
    assert.equal(first.running, true, "a stream of its own is still open");
    for (const stream of live) assert.equal(await stream.end(), "end");
    const ended = performance.now();
    assert.deepEqual(await first.exited, { code: 0, signal: null });
    assert.ok(performance.now() - ended < GRACE_MS, "with its last stream, not with its grace period");
    for (const way of users) assert.equal(await (await way.stream()).end(), "end");
  });

  const again = await cluster.startAgent();
  await t.test("kill -9: open streams are reset, new ones go to the other", async (t) => {
    const others = await Promise.all(users.map((way) => way.stream()));
    const way = await Way.start(cluster); // The agent that has just come has the least load.
    const stream = await way.stream();
    const killedAt = performance.now();
    again.signal("SIGKILL");
    assert.equal(await stream.closed, "ECONNRESET");
    const resetMs = performance.now() - killedAt;
    const next = await way.stream();
    const elsewhereMs = performance.now() - killedAt - resetMs;
    t.diagnostic(`reset after ${Math.round(resetMs)} ms, elsewhere after ${Math.round(elsewhereMs)} ms more`);
    assert.ok(resetMs < RESET_MS);
    assert.ok(elsewhereMs < ELSEWHERE_MS);
    for (const other of [next, ...others]) assert.equal(await other.end(), "end", "untouched");
  });

  await t.test("a stream that outlasts the grace period is reset, not ended", async () => {
    const stream = await users[0]!.stream();
    const started = performance.now();
    second.signal("SIGTERM");
    assert.equal(await stream.closed, "ECONNRESET");
    const afterMs = performance.now() - started;
    assert.ok(afterMs > GRACE_MS - 500 && afterMs < GRACE_MS + 5_000, `after ${afterMs} ms`);
  });
});

/** `tsh proxy app echo`: one session and one link. */
class Way {
  readonly #port: number;

  private constructor(port: number) {
    this.#port = port;
  }

  static async start(cluster: LoopbackCluster): Promise<Way> {
    const tsh = cluster.spawn("tsh", ["proxy", "app", "echo"]);
    const way = new Way(Number((await tsh.waitFor(/on 127\.0\.0\.1:(\d+)$/m))[1]));
    return way;
  }

  async stream(): Promise<LiveStream> {
    const stream = new LiveStream(connect({ port: this.#port, host: "127.0.0.1", allowHalfOpen: true }));
    await stream.live;
    return stream;
  }
}

/** Sends a number every few milliseconds and checks what comes back, octet for octet. */
class LiveStream {
  /** The first octets are back. */
  readonly live: Promise<void>;
  /** "end", or the error's code. */
  readonly closed: Promise<string>;
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout;
  #sent = "";
  #received = "";

  constructor(socket: Socket) {
    this.#socket = socket;
    const live = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<string>();
    this.live = live.promise;
    this.closed = closed.promise;
    let count = 0;
    const send = () => {
      const line = `${count++}\n`;
      this.#sent += line;
      socket.write(line);
    };
    this.#timer = setInterval(send, 5);
    socket.on("connect", send);
    socket.on("data", (bytes: Buffer) => {
      this.#received += bytes.toString("latin1");
      live.resolve();
    });
    const over = (how: string) => {
      clearInterval(this.#timer);
      live.reject(new Error(how));
      if (this.#sent.startsWith(this.#received)) closed.resolve(how);
      else closed.reject(new Error("other octets came back"));
    };
    this.live.catch(() => {});
    this.closed.catch(() => {});
    socket.on("end", () => over("end"));
    socket.on("error", (error: NodeJS.ErrnoException) => over(error.code ?? error.message));
  }

  /** Half-closes; "end" where everything came back before the far end's. */
  async end(): Promise<string> {
    clearInterval(this.#timer);
    this.#socket.end();
    const how = await this.closed;
    if (how === "end") assert.equal(this.#received, this.#sent);
    return how;
  }
}

async function eventually<T>(ask: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  for (let tries = 0; ; tries++) {
    const value = await ask();
    if (holds(value) || tries === 50) return value;
    await sleep(100);
  }
}
