import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { selfSignedWebCert } from "../pki/mod.ts";
import { type ConnectProxyOptions, TestConnectProxy } from "../testkit/mod.ts";
import { connectProxyOf } from "./connect-proxy.ts";
import { ConnectProxyError } from "./errors.ts";
import { through } from "./through.ts";

const NEVER = new AbortController().signal;
/** Known to the HTTP proxy alone. */
const HOST = "cluster.example.test";

async function server(t: TestContext, onConnection: (socket: Socket) => void): Promise<number> {
  const listener = createServer(onConnection).listen(0, "127.0.0.1");
  await once(listener, "listening");
  t.after(() => listener.close());
  return (listener.address() as AddressInfo).port;
}

/** Speaks first, then says back what it hears. */
function echo(socket: Socket): void {
  socket.on("error", () => {});
  socket.write("hello ");
  socket.pipe(socket);
}

async function heard(socket: Socket, length: number): Promise<string> {
  let text = "";
  for await (const chunk of socket) {
    text += String(chunk);
    if (text.length >= length) break;
  }
  return text;
}

async function proxied(t: TestContext, o: ConnectProxyOptions = {}) {
  const proxy = await TestConnectProxy.start(o);
  t.after(() => proxy[Symbol.asyncDispose]());
  return proxy;
}

const url = (port: number, userInfo = "") => `http://${userInfo}127.0.0.1:${port}`;

/** Says what a dial of `port` fails with. */
async function failure(httpsProxy: string, port: number, signal = NEVER): Promise<ConnectProxyError> {
  const dial = through(connectProxyOf(httpsProxy), () => []);
  const error = await dial({ host: HOST, port }, signal).then(
    () => assert.fail("it is connected"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConnectProxyError, String(error));
  return error;
}

test("octets pass both ways, the target's first ones too", async (t) => {
  const port = await server(t, echo);
  const proxy = await proxied(t);
  const dial = through(connectProxyOf(url(proxy.port)), () => []);
  const socket = await dial({ host: HOST, port }, NEVER);
  socket.write("world");
  assert.equal(await heard(socket, 11), "hello world");
  assert.deepEqual(proxy.asked, [`${HOST}:${port}`]);
});

test("octets that come with the answer are the target's", async (t) => {
  const proxyPort = await server(t, (socket) => {
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\n\r\nearly"));
  });
  const dial = through(connectProxyOf(url(proxyPort)), () => []);
  assert.equal(await heard(await dial({ host: HOST, port: 1 }, NEVER), 5), "early");
});

test("a proxy that speaks TLS itself is verified, and then passes octets as well", async (t) => {
  const { certPem, keyPem } = await selfSignedWebCert(["localhost"], Date.now());
  const port = await server(t, echo);
  const proxy = await proxied(t, { tls: { certPem, keyPem } });
  const settings = connectProxyOf(`https://localhost:${proxy.port}`);
  const socket = await through(settings, () => [certPem])({ host: HOST, port }, NEVER);
  socket.write("world");
  assert.equal(await heard(socket, 11), "hello world");
  await assert.rejects(through(settings, () => [])({ host: HOST, port }, NEVER), /cannot be reached: self-signed/);
  assert.equal(proxy.asked.length, 1, "who is not trusted is told nothing");
});

test("credentials are shown where they are set; where they are wrong the error says how to set them", async (t) => {
  const port = await server(t, echo);
  const proxy = await proxied(t, { auth: "alice:p@ss" });
  const dial = through(connectProxyOf(url(proxy.port, "alice:p%40ss@")), () => []);
  assert.equal(await heard(await dial({ host: HOST, port }, NEVER), 6), "hello ");
  for (const userInfo of ["", "alice:wrong@"]) {
    const { message } = await failure(url(proxy.port, userInfo), port);
    assert.match(message, /status 407.*set HTTPS_PROXY to http:\/\/USER:PASSWORD@HOST:PORT/);
    assert.doesNotMatch(message, /wrong/);
  }
});

test("refusals say who refused what, and what to try", async (t) => {
  const forbidden = await proxied(t, { refuse: 403 });
  assert.match(
    (await failure(url(forbidden.port), 3080)).message,
    /the HTTP proxy http:\/\/127\.0\.0\.1:\d+ of HTTPS_PROXY refused to connect to cluster\.example\.test:3080 \(status 403\): ask its administrator/,
  );
  const lost = await proxied(t, { refuse: 502 });
  assert.match((await failure(url(lost.port), 3080)).message, /status 502.*check the address of the cluster's proxy/);
});

test("what is no HTTP proxy, or nothing at all, is named", async (t) => {
  const ssh = await server(t, (socket) => void socket.on("error", () => {}).write("SSH-2.0-x\r\n"));
  assert.match((await failure(url(ssh), 1)).message, /its answer is not HTTP/);
  const closing = await server(t, (socket) => void socket.on("error", () => {}).end());
  assert.match((await failure(url(closing), 1)).message, /closed the connection|ECONNRESET/);
  assert.match(
    (await failure("http://127.0.0.1:1", 1)).message,
    /cannot be reached: .*ECONNREFUSED.*correct HTTPS_PROXY/,
  );
});

test("a silent proxy is waited for as long as the caller likes, and left behind then", async (t) => {
  const proxy = await proxied(t, { silent: true });
  const dial = through(connectProxyOf(url(proxy.port)), () => []);
  const stop = new AbortController();
  const dialling = dial({ host: HOST, port: 1 }, stop.signal);
  while (proxy.asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
  stop.abort(new Error("enough"));
  await assert.rejects(dialling, /^Error: enough$/);
});

test("what NO_PROXY names, and this machine, are reached without", async (t) => {
  const port = await server(t, echo);
  const proxy = await proxied(t);
  const dial = through(connectProxyOf(url(proxy.port), "somewhere.test"), () => []);
  assert.equal(await heard(await dial({ host: "127.0.0.1", port }, NEVER), 6), "hello ");
  await assert.rejects(dial({ host: "somewhere.test", port }, NEVER), (error) => !(error instanceof ConnectProxyError));
  assert.deepEqual(proxy.asked, []);
});

test("an address with a line break goes into no request", async (t) => {
  const proxy = await proxied(t);
  const dial = through(connectProxyOf(url(proxy.port)), () => []);
  await assert.rejects(dial({ host: "a\r\nX: y", port: 1 }, NEVER), ConnectProxyError);
  assert.deepEqual(proxy.asked, []);
});
