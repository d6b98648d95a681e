import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { selfSignedWebCert } from "../pki/mod.ts";
import { NotAProxyError, ProxyUnreachableError, ProxyUntrustedError } from "./errors.ts";
import { fetchMessageOfTheDay, fetchProxyTrust, findProxy, splitHostPort } from "./web.ts";

const FIND = { server_version: "17.7.2", cluster_name: "example", more: 1 };

async function serveWeb(body: string): Promise<{ address: string; certPem: string; close(): void }> {
  const pair = await selfSignedWebCert(["localhost"], Date.now());
  const server = createServer({ cert: pair.certPem, key: pair.keyPem }, (_request, response) => response.end(body));
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  const { port } = server.address() as AddressInfo;
  return { address: `localhost:${port}`, certPem: pair.certPem, close: () => server.close() };
}

test("a proxy is found through the roots that the user names", async (t) => {
  const web = await serveWeb(JSON.stringify(FIND));
  t.after(() => web.close());
  const dir = await mkdtemp(path.join(tmpdir(), "roots-"));
  t.after(() => rm(dir, { recursive: true }));
  await writeFile(path.join(dir, "proxy.pem"), web.certPem);

  const byFile = await findProxy(web.address, { insecure: false, certFile: path.join(dir, "proxy.pem") });
  assert.equal(byFile.cluster_name, "example");
  assert.equal(byFile.host, "localhost");
  assert.equal((await findProxy(web.address, { insecure: false, certDir: dir })).address, web.address);
});

test("an unknown certificate is refused with what to do, and let in with --insecure", async (t) => {
  const web = await serveWeb(JSON.stringify(FIND));
  t.after(() => web.close());
  await assert.rejects(
    findProxy(web.address, { insecure: false }),
    (error) => error instanceof ProxyUntrustedError && /SSL_CERT_FILE[\s\S]*--insecure/.test(error.message),
  );
  assert.equal((await findProxy(web.address, { insecure: true })).cluster_name, "example");
});

test("what answers like no proxy is told apart from what does not answer", async (t) => {
  const web = await serveWeb("<html>");
  t.after(() => web.close());
  await assert.rejects(findProxy(web.address, { insecure: true }), NotAProxyError);
  await assert.rejects(fetchProxyTrust(web.address, { insecure: true }), NotAProxyError);
  web.close();
  await assert.rejects(findProxy("localhost:1", { insecure: true }), ProxyUnreachableError);
});

test("the message of the day, and none where the proxy has none to give", async (t) => {
  const web = await serveWeb(JSON.stringify({ text: "Be kind." }));
  t.after(() => web.close());
  assert.equal(await fetchMessageOfTheDay(web.address, { insecure: true }), "Be kind.");
  const older = await serveWeb("not found");
  t.after(() => older.close());
  assert.equal(await fetchMessageOfTheDay(older.address, { insecure: true }), "");
});

test("addresses are read with and without a port", () => {
  assert.deepEqual(splitHostPort("a.example.com"), { host: "a.example.com", port: undefined });
  assert.deepEqual(splitHostPort("[::1]:3080"), { host: "::1", port: 3080 });
  for (const bad of ["", "a:b", "a:0", "a:65536", "https://a", "a b"])
    assert.throws(() => splitHostPort(bad), NotAProxyError);
});
