/**
 * What must come through from end to end, with the kernel's TCP at both ends:
 * client, TUN, stack, a dialled socket, and the owner of the port. The file
 * runs itself once more in a network namespace of its own.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, randomFillSync } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { splice } from "../../src/base/mod.ts";
import type { TcpAttempt } from "../../src/net/stack/mod.ts";
import { needs } from "../../src/testkit/mod.ts";
import { socketStream } from "../../src/tunnel/mod.ts";
import { kernelRig } from "./kernel-rig.ts";

const INSIDE = process.env.VNET_TEST_INSIDE === "1";
const REPLY_OCTETS = 64 * 1024 * 1024;
const BLOCK = 256 * 1024;

if (!INSIDE) {
  test("the five semantics, with the kernel on both sides", needs("tun", "userns", "ip"), (t) => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const args = ["-rn", process.execPath, "--disable-warning=ExperimentalWarning", fileURLToPath(import.meta.url)];
    const run = spawnSync("unshare", args, {
      env: { ...env, VNET_TEST_INSIDE: "1" },
      encoding: "utf8",
      timeout: 60_000,
    });
    assert.equal(run.status, 0, `${run.signal ?? ""}\n${run.stdout}\n${run.stderr}`);
    assert.match(run.stdout, /pass 10\n/);
    for (const line of run.stdout.split("\n").filter((l) => l.startsWith("✔"))) t.diagnostic(line);
  });
} else {
  execFileSync("ip", ["link", "set", "lo", "up"]);
  const rig = kernelRig({ handlers: { tcp: relay, udp: () => false, echo: () => true } });
  after(() => rig.close());
  for (const address of [rig.far4, rig.far6]) declare(address);
}

/** Dial before accept, as VNet does. The owner listens on the same port of the loopback device. */
function relay(attempt: TcpAttempt): void {
  const socket = connect({ host: "127.0.0.1", port: attempt.local.port, allowHalfOpen: true });
  const refused = () => attempt.refuse();
  socket.once("error", refused);
  socket.once("connect", () => {
    socket.removeListener("error", refused);
    splice(attempt.accept(), socketStream(socket), () => {});
  });
}

function declare(address: string): void {
  test(`a refusing owner is ECONNREFUSED, at once (${address})`, async () => {
    const owner = await listen(() => {});
    const { port } = owner.address() as AddressInfo;
    owner.close();
    const start = performance.now();
    await assert.rejects(dial(address, port), { code: "ECONNREFUSED" });
    assert.ok(performance.now() - start < 500);
  });

  test(`the client half-closes, then 64 MiB of reply come whole (${address})`, async () => {
    const sent = createHash("sha256");
    const asked: Buffer[] = [];
    const owner = await listen((socket) => {
      socket.on("data", (chunk: Buffer) => void asked.push(chunk));
      socket.on("end", () => void reply(socket, REPLY_OCTETS, sent));
    });
    const client = await dial(address, (owner.address() as AddressInfo).port);
    client.end("and now you");
    const { hash, octets } = await drain(client);
    assert.equal(Buffer.concat(asked).toString(), "and now you");
    assert.equal(octets, REPLY_OCTETS);
    assert.equal(hash, sent.digest("hex"));
    owner.close();
  });

  test(`the owner's RST is the client's RST (${address})`, async () => {
    const owner = await listen((socket) => {
      socket.on("data", () => socket.resetAndDestroy());
    });
    const client = await dial(address, (owner.address() as AddressInfo).port);
    client.resume().write("x");
    const [error] = (await once(client, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNRESET");
    owner.close();
  });

  test(`the client's RST is the owner's RST (${address})`, async () => {
    const { promise: arriving, resolve } = Promise.withResolvers<Socket>();
    const owner = await listen(resolve);
    const client = await dial(address, (owner.address() as AddressInfo).port);
    client.write("x");
    const socket = await arriving;
    await once(socket, "data");
    const failed = once(socket, "error");
    client.resetAndDestroy();
    const [error] = (await failed) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNRESET");
    owner.close();
  });

  test(`the owner half-closes first, and hears the client to its end (${address})`, async () => {
    const { promise: heard, resolve } = Promise.withResolvers<{ hash: string; octets: number }>();
    const owner = await listen((socket) => {
      socket.end("my last word");
      void drain(socket).then(resolve);
    });
    const client = await dial(address, (owner.address() as AddressInfo).port);
    const word: Buffer[] = [];
    client.on("data", (chunk: Buffer) => void word.push(chunk));
    await once(client, "end");
    assert.equal(Buffer.concat(word).toString(), "my last word");
    const sent = createHash("sha256");
    await reply(client, 4 * 1024 * 1024, sent);
    const { hash, octets } = await heard;
    assert.equal(octets, 4 * 1024 * 1024);
    assert.equal(hash, sent.digest("hex"));
    owner.close();
  });
}

async function listen(serve: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

async function dial(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port, allowHalfOpen: true });
  await once(socket, "connect");
  return socket;
}

/** Writes `octets` random ones, then half-closes. */
async function reply(socket: Socket, octets: number, hash: ReturnType<typeof createHash>): Promise<void> {
  for (let left = octets; left > 0; left -= BLOCK) {
    const block = randomFillSync(Buffer.alloc(BLOCK));
    hash.update(block);
    if (!socket.write(block)) await once(socket, "drain");
  }
  socket.end();
}

async function drain(socket: Socket): Promise<{ hash: string; octets: number }> {
  const hash = createHash("sha256");
  let octets = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    hash.update(chunk);
    octets += chunk.length;
  }
  return { hash: hash.digest("hex"), octets };
}
