import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect } from "node:tls";
import { Counters, silentLogger, sleep, systemClock } from "../../base/mod.ts";
import { selfSignedWebCert } from "../../pki/mod.ts";
import { MAX_WEB_BODY_LEN } from "../limits.ts";
import { WebCertificates } from "./certificate.ts";
import type { WebBackend } from "./contract.ts";
import { WebServer } from "./server.ts";

const backend: WebBackend = {
  facts: () => ({
    clusterName: "c.test",
    hosts: ["c.test"],
    publicAddr: "c.test:443",
    tunnelPublicAddr: "c.test:443",
    webListenAddr: "0.0.0.0:443",
  }),
  preference: () => ({
    accepted: [],
    optional: false,
    passwordless: true,
    rpId: undefined,
    defaultSessionTtlMs: 1,
    messageOfTheDay: "",
  }),
  trust: () => Promise.reject(new Error("Auth is away")),
  readLink: async () => ({ user: "alice", kind: "invite", expires: "soon", mfaOptional: true }),
  acceptLink: async () => ({ user: "alice" }),
  readApproval: () => Promise.reject(new Error("not in this test")),
  confirmApproval: () => Promise.reject(new Error("not in this test")),
  readRegistration: () => Promise.reject(new Error("not in this test")),
  confirmRegistration: () => Promise.reject(new Error("not in this test")),
  appAt: () => undefined,
};

async function served(t: TestContext, { also = {}, ...o }: { headersMs?: number; also?: Partial<WebBackend> } = {}) {
  const dir = await mkdtemp(join(tmpdir(), "web-"));
  const certificates = await WebCertificates.selfSigned(dir, ["c.test"], systemClock);
  const counters = new Counters();
  const web = new WebServer({
    backend: { ...backend, ...also },
    contextFor: (name) => certificates.contextFor(name),
    certificate: certificates.defaultPair,
    counters,
    log: silentLogger,
    ...o,
  });
  const port = createServer((socket) => web.handle(socket, { address: "203.0.113.7", port: 40_000 })).listen(
    0,
    "127.0.0.1",
  );
  await once(port, "listening");
  t.after(async () => {
    web.close();
    port.close();
    await rm(dir, { recursive: true });
  });
  return { dir, counters, web, port: (port.address() as AddressInfo).port, ca: certificates.defaultPair.cert };
}

type Served = Awaited<ReturnType<typeof served>>;

async function ask(s: Served, path: string, o: { method?: string; body?: string } = {}) {
  const outgoing = request({
    host: "127.0.0.1",
    port: s.port,
    path,
    method: o.method ?? "GET",
    servername: "c.test",
    ca: s.ca,
    headers: { Host: "c.test" },
    agent: false,
  });
  outgoing.on("error", () => {}); // After the answer: `once` below hears of those before.
  outgoing.end(o.body);
  const [response] = (await once(outgoing, "response")) as [import("node:http").IncomingMessage];
  let text = "";
  for await (const part of response) text += part;
  return { status: response.statusCode, headers: response.headers, text };
}

/** Sends raw text over TLS; resolves with all that came back when the server closed. */
async function raw(s: Served, text: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: s.port, ca: s.ca, servername: "c.test" });
  await once(socket, "secureConnect");
  socket.write(text);
  let received = "";
  socket.on("data", (part) => {
    received += part;
  });
  socket.on("error", () => {});
  await once(socket, "close");
  return received;
}

test("who uses a link is where the proxy's port says, and not where its connection comes from", async (t) => {
  const clients: string[] = [];
  const acceptLink = async (_: unknown, client: string) => {
    clients.push(client);
    return { user: "alice" };
  };
  const s = await served(t, { also: { acceptLink } });
  const body = "password=correct+horse+battery&confirm=correct+horse+battery";
  const fields = `Host: c.test\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}`;
  const said = await raw(s, `POST /web/invite/x HTTP/1.1\r\n${fields}\r\nConnection: close\r\n\r\n${body}`);
  assert.match(said, /^HTTP\/1\.1 200 /);
  assert.deepEqual(clients, ["203.0.113.7:40000"]);
});

/** The proxy forgets each connection soon after the client has seen its end. */
async function allGone(s: Served): Promise<void> {
  for (let i = 0; i < 100 && s.web.connections > 0; i++) await sleep(5);
  assert.equal(s.web.connections, 0);
}

test("the web is served over TLS with the security headers", async (t) => {
  const s = await served(t);
  const { status, headers, text } = await ask(s, "/v1/webapi/find");
  assert.equal(status, 200);
  assert.equal(JSON.parse(text).cluster_name, "c.test");
  assert.equal(headers["strict-transport-security"], "max-age=31536000; includeSubDomains");
  assert.equal((await ask(s, "/")).headers.location, "/web");
  const head = await ask(s, "/v1/webapi/find", { method: "HEAD" });
  assert.deepEqual([head.text, head.headers["content-length"]], ["", String(text.length)]);
});

test("a failure inside is a 500 that says nothing of its cause", async (t) => {
  const s = await served(t);
  const { status, text, headers } = await ask(s, "/webapi/trust");
  assert.equal(status, 500);
  assert.doesNotMatch(text, /away/);
  assert.equal(headers["x-content-type-options"], "nosniff");
});

test("too much is refused: body with and without a length, headers", async (t) => {
  const s = await served(t);
  const body = "x".repeat(MAX_WEB_BODY_LEN + 1);
  assert.equal((await ask(s, "/webapi/users/password/token", { method: "PUT", body })).status, 413);

  const chunked = `PUT / HTTP/1.1\r\nHost: c.test\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  assert.match(await raw(s, chunked), /^HTTP\/1\.1 413 /);

  // Far too much: answered, or cut off when the answer came to nothing.
  const endless = Buffer.alloc(8 * 1024 * 1024, "x").toString();
  await ask(s, "/webapi/users/password/token", { method: "PUT", body: endless }).then(
    ({ status }) => assert.equal(status, 413),
    (error: NodeJS.ErrnoException) => assert.match(error.code ?? "", /ECONNRESET|EPIPE/),
  );

  await raw(s, `GET / HTTP/1.1\r\nHost: c.test\r\nX: ${"x".repeat(20_000)}\r\n\r\n`);
  await raw(s, "what is this\r\n\r\n");
  assert.equal(s.counters.get("web.bad-request"), 2);
  assert.equal((await ask(s, "/webapi/find")).status, 200, "others are served as before");
});

test("a request that does not arrive in time is given up", async (t) => {
  const s = await served(t, { headersMs: 100 });
  const started = performance.now();
  await raw(s, "GET / HTTP/1.1\r\nHost:");
  assert.ok(performance.now() - started < 3_000);
  await allGone(s);
});

test("close cuts what is open", async (t) => {
  const s = await served(t);
  const idle = connect({ host: "127.0.0.1", port: s.port, ca: s.ca, servername: "c.test" });
  await once(idle, "secureConnect");
  idle.on("error", () => {});
  const closed = once(idle, "close");
  s.web.close();
  await closed;
  await allGone(s);
});

test("the self-signed certificate is kept while it fits, and made anew for another host", async (t) => {
  const { dir, ca } = await served(t);
  assert.equal((await stat(join(dir, "webproxy_key.pem"))).mode & 0o777, 0o600);
  const again = await WebCertificates.selfSigned(dir, ["c.test"], systemClock);
  assert.equal(again.defaultPair.cert, ca);
  const late = { ...systemClock, wallMs: () => Date.now() + 100 * 365 * 86_400_000 };
  const renewed = await WebCertificates.selfSigned(dir, ["c.test"], late);
  assert.notEqual(renewed.defaultPair.cert, ca);
  const other = await WebCertificates.selfSigned(dir, ["d.test", "127.0.0.1"], late);
  assert.notEqual(other.defaultPair.cert, renewed.defaultPair.cert);
  assert.equal(await readFile(join(dir, "webproxy_cert.pem"), "utf8"), other.defaultPair.cert);
});

test("configured pairs are chosen by server name; a pair that does not fit is refused", async (t) => {
  const dir = await mkdtemp(join(tmpdir(), "web-"));
  t.after(() => rm(dir, { recursive: true }));
  const write = async (name: string, host: string) => {
    const { certPem, keyPem } = await selfSignedWebCert([host], Date.now());
    const files = { keyFile: join(dir, `${name}.key`), certFile: join(dir, `${name}.crt`) };
    await Promise.all([writeFile(files.keyFile, keyPem), writeFile(files.certFile, certPem)]);
    return files;
  };
  const a = await write("a", "a.test");
  const b = await write("b", "*.b.test");
  const certificates = await WebCertificates.fromFiles([a, b]);
  const contextOf = (name: string | undefined) => certificates.contextFor(name);
  assert.equal(contextOf("a.test"), contextOf(undefined));
  assert.equal(contextOf("unknown.test"), contextOf(undefined));
  assert.notEqual(contextOf("x.b.test"), contextOf("a.test"));
  await assert.rejects(WebCertificates.fromFiles([{ keyFile: a.keyFile, certFile: b.certFile }]), {
    code: "proxy.web-certificate",
  });
  await assert.rejects(WebCertificates.fromFiles([{ keyFile: a.keyFile, certFile: join(dir, "none") }]), {
    code: "proxy.web-certificate",
  });
});
