import assert from "node:assert/strict";
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import packet from "dns-packet";
import { systemClock } from "../../base/mod.ts";
import { virtualClock } from "../../testkit/mod.ts";
import { QUESTIONS_PER_SOCKET, SOCKET_LIFE_MS, SOCKETS_PER_SERVER } from "./limits.ts";
import { UdpSockets } from "./udp-sockets.ts";

const query = (id: number, name = "www.example.com") =>
  packet.encode({ type: "query", id, questions: [{ name, type: "A" }] });

function answerTo(message: Buffer): Buffer {
  const { id, questions } = packet.decode(message);
  return packet.encode({ type: "response", id: id!, questions: questions! });
}

/** Answers everything, unless told to keep it; remembers from which ports it was asked. */
async function start(t: TestContext, o: { clock?: typeof systemClock; keep?: boolean } = {}) {
  const server = createSocket("udp4").bind(0, "127.0.0.1");
  const kept: { message: Buffer; from: RemoteInfo }[] = [];
  const ports: number[] = [];
  const reply = (message: Buffer, from: RemoteInfo) => server.send(answerTo(message), from.port, from.address);
  server.on("message", (message, from) => {
    ports.push(from.port);
    if (o.keep) kept.push({ message, from });
    else reply(message, from);
  });
  await once(server, "listening");
  const sockets = new UdpSockets(server.address().port, o.clock ?? systemClock);
  t.after(() => {
    sockets.close();
    server.close();
  });
  const ask = (question: Buffer) =>
    new Promise<Buffer>((resolve, reject) => {
      sockets.ask("127.0.0.1", question, (result) =>
        result instanceof Error ? reject(result) : resolve(result as Buffer),
      );
    });
  const settled = async (count: number) => {
    while (ports.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  return { sockets, ask, ports, kept, reply, settled };
}

const uses = (ports: readonly number[]) => Object.values(Object.groupBy(ports, String)).map((each) => each!.length);

test("questions take turns among the sockets, and no port serves more than its share", async (t) => {
  const { ask, ports } = await start(t);
  const count = 2 * SOCKETS_PER_SERVER * QUESTIONS_PER_SOCKET;
  for (let done = 0; done < count; done += 64) {
    const batch = Array.from({ length: 64 }, (_, i) => ask(query(done + i)));
    for (const [i, answer] of (await Promise.all(batch)).entries()) assert.equal(answer.readUInt16BE(), done + i);
  }
  assert.equal(new Set(ports.slice(0, 64)).size, SOCKETS_PER_SERVER);
  assert.ok(Math.max(...uses(ports)) <= QUESTIONS_PER_SOCKET);
});

test("two questions of the same id never share a socket, and each gets its own answer", async (t) => {
  const { ask, ports, kept, reply, settled } = await start(t, { keep: true });
  const names = Array.from({ length: SOCKETS_PER_SERVER + 5 }, (_, i) => `host${i}.example.com`);
  const answers = names.map((name) => ask(query(7, name)));
  await settled(names.length);
  assert.deepEqual(
    uses(ports),
    names.map(() => 1),
  );
  for (const { message, from } of kept.reverse()) reply(message, from);
  const got = (await Promise.all(answers)).map((answer) => packet.decode(answer).questions![0]!.name);
  assert.deepEqual(got, names);
});

test("a socket is replaced when its time is over; a question under way still has its answer", async (t) => {
  const clock = virtualClock();
  const { ask, ports, kept, reply, settled } = await start(t, { clock, keep: true });
  const first = Array.from({ length: SOCKETS_PER_SERVER }, (_, i) => ask(query(i)));
  await settled(SOCKETS_PER_SERVER);
  clock.advance(SOCKET_LIFE_MS);
  const second = ask(query(100));
  await settled(SOCKETS_PER_SERVER + 1);
  assert.ok(!ports.slice(0, SOCKETS_PER_SERVER).includes(ports.at(-1)!));
  for (const { message, from } of kept) reply(message, from);
  await Promise.all([...first, second]);
});

test("a question that was given up is not answered; an answer to no question of ours is ignored", async (t) => {
  const { sockets, ask, kept, reply, settled } = await start(t, { keep: true });
  sockets.ask("127.0.0.1", query(1), () => assert.fail("told")).cancel();
  const other = ask(query(2));
  await settled(1); // what was given up before the socket was connected is not even sent
  const [{ message, from }] = kept as [(typeof kept)[number]];
  reply(query(2, "other.example.com"), from);
  reply(message, from);
  assert.equal(packet.decode(await other).questions![0]!.name, "www.example.com");
});

test("what the system says of a server fails all questions on that socket", async (t) => {
  const gone = createSocket("udp4").bind(0, "127.0.0.1");
  await once(gone, "listening");
  const { port } = gone.address();
  gone.close();
  const sockets = new UdpSockets(port, systemClock);
  t.after(() => sockets.close());
  const result = await new Promise<Uint8Array | Error>((resolve) => sockets.ask("127.0.0.1", query(1), resolve));
  assert.match(String(result), /ECONNREFUSED/);
});
