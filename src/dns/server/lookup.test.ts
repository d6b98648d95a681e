import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import packet from "dns-packet";
import { seededRandom, systemClock } from "../../base/mod.ts";
import { framed } from "./asking.ts";
import { lookupAt } from "./lookup.ts";

type Reply = (query: packet.DecodedPacket) => Uint8Array | undefined;

function answering(data: string[], flags = 0): Reply {
  return ({ id, questions }) => {
    const [{ name, type }] = questions as [packet.Question];
    const answers = data.map((each): packet.Answer => ({ type: type as "A", name, ttl: 1, data: each }));
    return packet.encode({ type: "response", id: id!, flags, questions: questions!, answers });
  };
}

async function udpServer(t: TestContext, reply: Reply): Promise<number> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  socket.on("message", (message, from) => {
    const answer = reply(packet.decode(message));
    if (answer) socket.send(answer, from.port, from.address);
  });
  await once(socket, "listening");
  t.after(() => socket.close());
  return socket.address().port;
}

const ask = (port: number, host: string, family: 4 | 6, transport: "udp" | "tcp" = "udp", timeoutMs = 2_000) =>
  lookupAt("127.0.0.1", host, family, transport, { clock: systemClock, random: seededRandom(1), timeoutMs, port });

test("both families over UDP; a name that is not there has no addresses", async (t) => {
  assert.deepEqual(await ask(await udpServer(t, answering(["192.0.2.1", "192.0.2.2"])), "a.test", 4), [
    "192.0.2.1",
    "192.0.2.2",
  ]);
  assert.deepEqual(await ask(await udpServer(t, answering(["2001:db8::1"])), "a.test", 6), ["2001:db8::1"]);
  assert.deepEqual(await ask(await udpServer(t, answering([], 3)), "a.test", 4), []);
});

test("over TCP", async (t) => {
  const server = createServer((socket) => {
    socket.on("data", (data: Buffer) =>
      socket.write(framed(answering(["192.0.2.7"])(packet.decode(data.subarray(2)))!)),
    );
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  assert.deepEqual(await ask((server.address() as AddressInfo).port, "a.test", 4, "tcp"), ["192.0.2.7"]);
});

test("failures are told in words", async (t) => {
  await assert.rejects(ask(await udpServer(t, answering([], 2)), "a.test", 4), /answered with the error code 2/);
  await assert.rejects(ask(await udpServer(t, () => undefined), "a.test", 4, "udp", 50), /no answer within 0\.05 s/);
  await assert.rejects(ask(1, "a b", 4), /a b is not a host name/);
  await assert.rejects(ask(1, "a.test", 4, "tcp"), /ECONNREFUSED/);
});
