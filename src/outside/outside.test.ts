import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { type Clock, type Counters, isMalformed, parseIp, systemClock } from "../base/mod.ts";
import { startVirtualVnet, virtualClock } from "../testkit/mod.ts";
import { destinationOf } from "./destination.ts";
import { MAX_OUTSIDE_DIALS, MAX_UDP_FLOWS, UDP_IDLE_MS } from "./limits.ts";
import { isolation, Outside } from "./outside.ts";

/** Stands for this machine's loopback. */
const [LOOPBACK4, LOOPBACK6] = ["192.0.2.1", "2001:db8::1"];

const ip = (text: string) => {
  const address = parseIp(text);
  assert(!isMalformed(address), text);
  return address;
};
const settle = (ms = 30) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function start(t: TestContext, hostLoopback = LOOPBACK4, clock: Clock = systemClock, dial?: () => Socket) {
  let outside!: Outside;
  const open = (counters: Counters) => {
    outside = new Outside({ clock, counters, hostLoopback: ip(hostLoopback), ...(dial && { dial }) });
    return outside;
  };
  return { ...startVirtualVnet(t, { outside: open }), open: () => outside.open };
}

async function tcpServer(t: TestContext, serve: (socket: Socket) => void, host = "127.0.0.1"): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, serve).listen(0, host);
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function udpEcho(t: TestContext, address = "127.0.0.1"): Promise<number> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4").bind(0, address);
  socket.on("message", (message, from) => socket.send(message, from.port, from.address));
  await once(socket, "listening");
  t.after(() => socket.close());
  return socket.address().port;
}

test("four MiB go out and come back in both families, answered after the client's end", async (t) => {
  for (const [outer, inner] of [
    [LOOPBACK4, "127.0.0.1"],
    [LOOPBACK6, "::1"],
  ] as const) {
    const { host, vnet, open } = start(t, outer);
    const port = await tcpServer(
      t,
      (socket) => {
        const parts: Buffer[] = [];
        socket.on("data", (part: Buffer) => parts.push(part));
        socket.on("end", () => socket.end(Buffer.concat(parts)));
      },
      inner,
    );
    const bytes = randomBytes(4 * 1024 * 1024);
    const user = await host.connect(outer, port);
    assert.equal(open().tcp, 1);
    user.send(bytes);
    user.end();
    assert.equal(await user.closed, "end");
    const hash = (octets: Uint8Array) => createHash("sha256").update(octets).digest("hex");
    assert.equal(hash(user.received), hash(bytes));
    assert.deepEqual([open().tcp, vnet.counters.get("outside.connected")], [0, 1]);
  }
});

test("a target that refuses refuses; a reset passes in both directions", async (t) => {
  const { host } = start(t);
  const gone = createServer().listen(0, "127.0.0.1");
  await once(gone, "listening");
  const { port: closedPort } = gone.address() as AddressInfo;
  gone.close();
  await assert.rejects(host.connect(LOOPBACK4, closedPort), /refused/);

  const resetting = await tcpServer(t, (socket) => socket.once("data", () => socket.resetAndDestroy()));
  const first = await host.connect(LOOPBACK4, resetting);
  first.send(Uint8Array.of(1));
  assert.equal(await first.closed, "peer");

  const seen = Promise.withResolvers<string | undefined>();
  const listening = await tcpServer(t, (socket) => {
    socket.on("error", (error: NodeJS.ErrnoException) => seen.resolve(error.code));
    socket.resume();
  });
  const second = await host.connect(LOOPBACK4, listening);
  second.reset();
  assert.equal(await seen.promise, "ECONNRESET");
});

test("the host's loopback is nobody's but by the address that stands for it, however it is spelled", async (t) => {
  for (const text of [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::7f00:1",
    "fe80::1",
  ]) {
    assert.equal(destinationOf(ip(text), ip(LOOPBACK4)), undefined, text);
  }
  assert.equal(destinationOf(ip("198.51.100.7")), "198.51.100.7");
  assert.equal(destinationOf(ip("2001:db8::7")), "2001:db8::7");
  assert.equal(destinationOf(ip(LOOPBACK4), ip(LOOPBACK4)), "127.0.0.1");
  assert.equal(destinationOf(ip(LOOPBACK6), ip(LOOPBACK6)), "::1");

  const { host, vnet } = start(t);
  const port = await tcpServer(t, () => assert.fail("reached"));
  host.connect("::ffff:127.0.0.1", port).catch(() => {});
  host.send("fe80::1", port, Uint8Array.of(1));
  await settle();
  assert.deepEqual(host.unreachables, ["1/1", "1/1"]);
  assert.deepEqual([vnet.counters.get("outside.tcp-forbidden"), vnet.counters.get("outside.udp-forbidden")], [1, 1]);
  host.send("127.0.0.1", port, Uint8Array.of(1));
  await settle();
  assert.equal(vnet.counters.get("ip.not-unicast"), 1, "no packet to 127.0.0.1 gets so far");
});

test("VNet's own addresses stay VNet's: an unassigned one is refused, not dialled", async (t) => {
  const { host, vnet } = start(t);
  await assert.rejects(host.connect("192.168.2.77", 80), /refused/);
  assert.equal((await host.lookup("echo.company.test")).addresses.length, 1);
  assert.equal(vnet.counters.get("vnet.refused-unassigned"), 1);
});

test("datagrams go out and come back in both families; a port without a listener is told by ICMP", async (t) => {
  const v4 = start(t);
  const echo = await udpEcho(t);
  const bytes = randomBytes(9_000);
  assert.deepEqual(Buffer.from(await v4.host.exchange(LOOPBACK4, echo, bytes)), bytes);
  const v6 = start(t, LOOPBACK6);
  assert.deepEqual(Buffer.from(await v6.host.exchange(LOOPBACK6, await udpEcho(t, "::1"), bytes)), bytes);
  assert.equal(v4.open().udp, 1);

  const closed = createSocket("udp4").bind(0, "127.0.0.1");
  await once(closed, "listening");
  const { port } = closed.address();
  closed.close();
  v4.host.send(LOOPBACK4, port, Uint8Array.of(1));
  await settle();
  assert.deepEqual(v4.host.unreachables, ["3/3"]);
});

test("UDP flows end after two minutes of silence, and the one silent longest makes room", async (t) => {
  const clock = virtualClock();
  const { host, vnet, open } = start(t, LOOPBACK4, clock);
  const port = await udpEcho(t);
  await host.exchange(LOOPBACK4, port, Uint8Array.of(1));
  clock.advance(UDP_IDLE_MS / 2);
  await host.exchange(LOOPBACK4, port, Uint8Array.of(2));
  clock.advance(UDP_IDLE_MS / 2);
  assert.equal(open().udp, 1, "the second one's silence is not over");
  clock.advance(UDP_IDLE_MS / 2 + 10_000);
  assert.equal(open().udp, 0);
  for (let i = 0; i <= MAX_UDP_FLOWS; i++) host.send(LOOPBACK4, port, Uint8Array.of(3));
  await settle(200);
  assert.deepEqual([open().udp, vnet.counters.get("outside.udp-evicted")], [MAX_UDP_FLOWS, 1]);
  await vnet.close();
  assert.equal(open().udp, 0);
});

test("isolated: the rest of the network is unreachable at once, VNet is not", async (t) => {
  const { host, vnet } = startVirtualVnet(t, { outside: isolation });
  host.connect("198.51.100.7", 80).catch(() => {});
  host.send("2001:db8::7", 53, Uint8Array.of(1));
  await settle();
  assert.deepEqual(host.unreachables, ["3/13", "1/1"]);
  assert.equal(vnet.counters.get("outside.isolated"), 2);
  const user = await host.dial("echo.company.test", 80);
  user.send(Uint8Array.of(1));
  await user.until(1);
});

test("a way that is not there is told by ICMP; a client that gives up ends the dial, and so does VNet's end", async (t) => {
  const dials: Socket[] = [];
  const dial = () => {
    dials.push(new Socket({ allowHalfOpen: true }));
    return dials.at(-1)!;
  };
  const { host, vnet, killLast } = start(t, LOOPBACK4, systemClock, dial);
  const connect = () => void host.connect(LOOPBACK4, 80).catch(() => {});
  connect();
  await settle();
  dials[0]!.destroy(Object.assign(new Error("no way"), { code: "EHOSTUNREACH" }));
  await settle();
  assert.deepEqual([host.unreachables, vnet.counters.get("outside.unreachable")], [["3/1"], 1]);

  connect();
  await settle();
  killLast();
  await settle();
  assert.ok(dials[1]!.destroyed);

  for (let i = 0; i <= MAX_OUTSIDE_DIALS; i++) connect();
  await settle(100);
  assert.deepEqual([dials.length, vnet.counters.get("outside.tcp-full")], [2 + MAX_OUTSIDE_DIALS, 1]);
  await vnet.close();
  assert.ok(dials.every((socket) => socket.destroyed));
});
