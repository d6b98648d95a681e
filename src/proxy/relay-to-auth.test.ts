import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { type TestContext, test } from "node:test";
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from "node:tls";
import { Counters, silentLogger, systemClock } from "../base/mod.ts";
import { selfSignedWebCert } from "../pki/mod.ts";
import { AuthRelay } from "./relay-to-auth.ts";

async function listening(t: TestContext, server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A relay's port before an Auth that echoes, and what the relay said first on each connection. */
async function setup(t: TestContext, header: (from: string) => Promise<Uint8Array>) {
  const { certPem: cert, keyPem: key } = await selfSignedWebCert(["auth.inside"], Date.now());
  const tls = createTlsServer({ cert, key, ALPNProtocols: ["tp-auth/1"] }, (socket: TLSSocket) => socket.pipe(socket));
  const said: string[] = [];
  const auth = createServer({ pauseOnConnect: true }, async (socket) => {
    socket.on("error", () => {});
    let first: Buffer | null = null;
    while (first === null && !socket.destroyed) {
      await once(socket, "readable");
      first = socket.read(5) as Buffer | null;
    }
    said.push(String(first));
    tls.emit("connection", socket);
  });
  const tools = { clock: systemClock, counters: new Counters(), log: silentLogger };
  const relay = new AuthRelay({ host: "127.0.0.1", port: await listening(t, auth) }, { header }, tools);
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    relay.handle(socket);
  });
  const port = await listening(t, server);
  t.after(() => relay.close());
  return { cert, port, said, relay };
}

test("the API is carried to Auth still encrypted: its certificate is the one that the client sees", async (t) => {
  const from: string[] = [];
  const { cert, port, said } = await setup(t, async (client) => {
    from.push(client);
    return Buffer.from("hello");
  });
  const socket = connectTls({
    host: "127.0.0.1",
    port,
    ca: cert,
    checkServerIdentity: () => undefined,
    ALPNProtocols: ["tp-auth/1"],
  });
  await once(socket, "secureConnect");
  assert.match(socket.getPeerCertificate().subjectaltname ?? "", /auth\.inside/);
  assert.deepEqual([said, from], [["hello"], [`127.0.0.1:${socket.localPort}`]]);
  const sent = Buffer.alloc(300_000, "x");
  socket.end(sent);
  let received = 0;
  for await (const part of socket) received += part.length;
  assert.equal(received, sent.length);
});

test("without a key from Auth nothing is relayed, and nothing is left open", async (t) => {
  const { port, relay } = await setup(t, () => Promise.reject(new Error("no key")));
  const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false });
  await assert.rejects(once(socket, "secureConnect"));
  assert.equal(relay.open, 0);
});
