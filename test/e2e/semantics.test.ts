/**
 * What TCP says with SYN, FIN and RST means the same through VNet, link, proxy
 * and agent, each a process of its own: refused looks refused, half-close works
 * both ways, a reset is a reset both ways, and so what is cut short never looks whole.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import test from "node:test";
import { freePort, needs } from "../../src/testkit/mod.ts";
import { EXEC_NEEDS, LoopbackCluster } from "./loopback-cluster.ts";
import { OCTETS, pieces, type Seen } from "./semantics.ts";

const CLIENT = new URL("semantics.ts", import.meta.url).pathname;
const WHOLE = createHash("sha256").update(Buffer.concat(pieces())).digest("hex");

test("TCP's meanings through VNet, proxy and agent", needs(...EXEC_NEEDS), async (t) => {
  /** What the app does with its next connection. */
  let serve: (socket: Socket) => void = () => {};
  const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const apps = [
    { name: "app", uri: `tcp://127.0.0.1:${port}` },
    { name: "closed", uri: `tcp://127.0.0.1:${await freePort()}` },
  ];
  await using cluster = await LoopbackCluster.start({ apart: true, apps });
  /** What the client sees; `atEnd` is waited for before VNet ends with it. */
  const client = async (what: string, name = "app", atEnd?: () => Promise<unknown>): Promise<Seen> => {
    const command = [
      process.execPath,
      "--disable-warning=ExperimentalWarning",
      CLIENT,
      what,
      `${name}.company.test`,
      "7",
    ];
    await using child = cluster.spawn("tsh", ["vnet", "exec", "--", ...command]);
    const [line] = await child.waitFor(/^\{.*\}$/m, 60_000);
    await atEnd?.();
    child.endInput();
    await child.exited;
    return JSON.parse(line) as Seen;
  };
  /** The app's end of the client's connection, and what is known of its end. */
  const atApp = () => {
    const found = Promise.withResolvers<{ socket: Socket; ended: Promise<Seen> }>();
    serve = (socket) => found.resolve({ socket, ended: watch(socket) });
    return found.promise;
  };

  await t.test("an app that refuses: ECONNREFUSED", async () => {
    assert.equal((await client("wait", "closed")).how, "ECONNREFUSED");
  });

  await t.test("the client ends first: all of it arrives, and the answer comes back after its end", async () => {
    const app = atApp();
    const seen = client("client-ends-first");
    const { socket, ended } = await app;
    const asked = await ended;
    assert.deepEqual([asked.how, asked.octets, asked.hash], ["end", OCTETS, WHOLE]);
    for (const piece of pieces()) socket.write(piece);
    socket.end();
    assert.deepEqual(await seen, { how: "end", octets: OCTETS, hash: WHOLE });
  });

  await t.test("the app ends first: it still gets all that the client has to say", async () => {
    const app = atApp();
    const seen = client("app-ends-first", "app", async () => (await app).ended);
    const { socket, ended } = await app;
    socket.end("that is all from here");
    assert.equal((await seen).how, "end");
    assert.deepEqual(await ended, { how: "end", octets: OCTETS, hash: WHOLE });
  });

  await t.test("the app resets in the middle: ECONNRESET, never an end", async () => {
    const app = atApp();
    const seen = client("wait");
    const { socket } = await app;
    socket.write("half of it", () => setTimeout(() => socket.resetAndDestroy(), 100));
    assert.equal((await seen).how, "ECONNRESET");
  });

  await t.test("the client resets in the middle: the app's read fails, it sees no end", async () => {
    const app = atApp();
    const seen = client("client-reset", "app", async () => (await app).ended);
    const { socket, ended } = await app;
    socket.write("some octets");
    assert.equal((await seen).how, "reset by us");
    assert.equal((await ended).how, "ECONNRESET");
  });
  server.close();
});

function watch(socket: Socket): Promise<Seen> {
  const hash = createHash("sha256");
  let octets = 0;
  return new Promise((resolve) => {
    const over = (how: string) => resolve({ how, octets, hash: hash.digest("hex") });
    socket.on("data", (bytes: Buffer) => {
      octets += bytes.length;
      hash.update(bytes);
    });
    socket.on("end", () => over("end"));
    socket.on("error", (error: NodeJS.ErrnoException) => over(error.code ?? error.message));
  });
}
