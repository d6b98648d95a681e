import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { type Clock, silentLogger, sleep, systemClock } from "../base/mod.ts";
import { createCa, generateKeyPair, issueHostCert } from "../pki/mod.ts";
import { type ProxyService, startProxy } from "./mod.ts";

const CLUSTER = "c.test";
const HOST_ID = "5f0c9a4e-3b6f-4a53-8f8e-0d2f6d1a7c11";
const NOBODY = "127.0.0.1:1";

/** All bounds a hundred times shorter. */
const fastClock: Clock = { ...systemClock, after: (delayMs, run) => systemClock.after(delayMs / 100, run) };

async function proxyFor(t: TestContext, authAddress = NOBODY, clock: Clock = systemClock): Promise<ProxyService> {
  const dataDir = await mkdtemp(join(tmpdir(), "proxy-"));
  const now = Date.now();
  const ca = await createCa({ cluster: CLUSTER, type: "host", now });
  const { keyPem, publicKeyPem } = await generateKeyPair();
  const certPem = await issueHostCert({ ca, publicKeyPem, now, cluster: CLUSTER, hostId: HOST_ID, roles: ["Proxy"] });
  const proxy = await startProxy({
    identity: { hostId: HOST_ID, cluster: CLUSTER, certPem, keyPem, hostCas: [ca.certPem], userCas: [] },
    config: { webListenAddr: "127.0.0.1:0", publicAddrs: ["localhost"], tunnelPublicAddrs: [], httpsKeypairs: [] },
    authAddress,
    dataDir,
    hostname: "p",
    clock,
    log: silentLogger,
  });
  t.after(async () => {
    await proxy.close();
    await rm(dataDir, { recursive: true });
  });
  return proxy;
}

async function ask(proxy: ProxyService, path: string) {
  const options = { host: "127.0.0.1", port: proxy.port, path, servername: "localhost", ca: proxy.webCertPem };
  const outgoing = request({ ...options, headers: { Host: "localhost" }, agent: false });
  outgoing.end();
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  let text = "";
  for await (const part of response) text += part;
  return { status: response.statusCode, body: JSON.parse(text) };
}

async function open(proxy: ProxyService): Promise<Socket> {
  const socket = connectTcp({ host: "127.0.0.1", port: proxy.port });
  socket.on("error", () => {});
  socket.resume();
  await once(socket, "connect");
  return socket;
}

function total(proxy: ProxyService): number {
  return Object.values(proxy.counters.snapshot()).reduce((sum, count) => sum + count, 0);
}

test("find is answered without Auth; what needs Auth says that it is away", async (t) => {
  const proxy = await proxyFor(t);
  const found = await ask(proxy, "/v1/webapi/find");
  assert.equal(found.body.proxy.ssh.public_addr, `localhost:${proxy.port}`);
  assert.equal(found.body.cluster_name, CLUSTER);
  const trust = await ask(proxy, "/webapi/trust");
  assert.equal(trust.status, 503);
  assert.match(trust.body.error.message, /Auth Service/);
});

test("garbage, oversized and endless beginnings are closed and counted, and disturb nobody", async (t) => {
  const proxy = await proxyFor(t, NOBODY, fastClock);
  const record = Buffer.from([0x16, 0x03, 0x01, 0x40, 0x00]);
  const beginnings: [string, Buffer][] = [
    ["plain HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["SSH", Buffer.from("SSH-2.0-OpenSSH\r\n")],
    ["random octets", Buffer.from("f3a9c27750b1", "hex")],
    ["a handshake that is no ClientHello", Buffer.from("16030100050200000100", "hex")],
    [
      "a ClientHello of 64 KiB",
      Buffer.concat([record, Buffer.from([1, 1, 0, 0]), Buffer.alloc(0x4000 - 4), record, Buffer.alloc(0x4000)]),
    ],
    ["silence", Buffer.alloc(0)],
    ["half a ClientHello", Buffer.from("16030102000100", "hex")],
  ];
  for (const [name, octets] of beginnings) {
    const before = total(proxy);
    const socket = await open(proxy);
    if (octets.length > 0) socket.write(octets);
    const closed = await Promise.race([once(socket, "close").then(() => true), sleep(1_500).then(() => false)]);
    assert.ok(closed, `${name}: closed`);
    assert.ok(total(proxy) > before, `${name}: counted`);
    assert.equal((await ask(proxy, "/webapi/find")).status, 200, `${name}: others are served`);
  }
});

test("a ClientHello in single octets is read like one in one piece", async (t) => {
  const proxy = await proxyFor(t);
  const raw = await open(proxy);
  raw.setNoDelay(true);
  // An octet at a time through a socket pair's write side: TLS above, the raw socket below.
  const { Duplex } = await import("node:stream");
  const slow = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      for (const octet of chunk) raw.write(Uint8Array.of(octet));
      done();
    },
  });
  raw.on("data", (chunk) => slow.push(chunk));
  const socket = connectTls({
    socket: slow,
    servername: "localhost",
    ca: proxy.webCertPem,
    ALPNProtocols: ["http/1.1"],
  });
  await once(socket, "secureConnect");
  assert.equal(socket.alpnProtocol, "http/1.1");
  socket.destroy();
  raw.destroy();
});

test("while Auth is away its connections end at once instead of hanging", async (t) => {
  const proxy = await proxyFor(t);
  const socket = connectTls({
    host: "127.0.0.1",
    port: proxy.port,
    ALPNProtocols: ["tp-auth/1"],
    rejectUnauthorized: false,
  });
  const started = performance.now();
  await assert.rejects(once(socket, "secureConnect"));
  assert.ok(performance.now() - started < 1_000);
  assert.equal(proxy.counters.get("api.dial-failed") >= 1, true);
});

test("an address in use is refused by name", async (t) => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const dataDir = await mkdtemp(join(tmpdir(), "proxy-"));
  t.after(async () => {
    other.close();
    await rm(dataDir, { recursive: true });
  });
  const { port } = other.address() as AddressInfo;
  const started = startProxy({
    identity: { hostId: HOST_ID, cluster: CLUSTER, certPem: "", keyPem: "", hostCas: [], userCas: [] },
    config: { webListenAddr: `127.0.0.1:${port}`, publicAddrs: [], tunnelPublicAddrs: [], httpsKeypairs: [] },
    authAddress: NOBODY,
    dataDir,
    hostname: "p",
    clock: systemClock,
    log: silentLogger,
  });
  await assert.rejects(started, { code: "proxy.listen", message: new RegExp(`127\\.0\\.0\\.1:${port}`) });
});

test("close ends every connection", async (t) => {
  const proxy = await proxyFor(t);
  const silent = await open(proxy);
  const web = connectTls({ host: "127.0.0.1", port: proxy.port, servername: "localhost", ca: proxy.webCertPem });
  await once(web, "secureConnect");
  web.on("error", () => {});
  const bothClosed = Promise.all([once(silent, "close"), once(web, "close")]);
  await proxy.close();
  await bothClosed;
  await assert.rejects(open(proxy), { code: "ECONNREFUSED" });
});
