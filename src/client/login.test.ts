/** Logins through a real proxy and its pages, with the browser and the passkey in software. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createCsr, generateKeyPair } from "../pki/mod.ts";
import { SoftAuthenticator, startTestCluster, type TestCluster } from "../testkit/mod.ts";
import { findProxy, logIn, type MfaPerson, type Profile, type WebTrust } from "./mod.ts";

const PASSWORD = "correct horse battery staple";
type Json = Record<string, unknown>;

let cluster: TestCluster;
let trust: WebTrust;
let passkey: SoftAuthenticator;
before(async () => {
  cluster = await startTestCluster({ secondFactors: ["webauthn"] });
  const certFile = join(cluster.dataDir, "web.pem");
  await writeFile(certFile, cluster.proxy.webCertPem);
  trust = { insecure: false, certFile };
  passkey = new SoftAuthenticator({ origin: `https://localhost:${cluster.proxy.port}` });
});
after(() => cluster?.[Symbol.asyncDispose]());

async function fetchPage(url: string, form?: Record<string, string>): Promise<{ status: number; text: string }> {
  const { pathname } = new URL(url);
  const headers = { Host: `localhost:${cluster.proxy.port}`, "Content-Type": "application/x-www-form-urlencoded" };
  const outgoing = request({
    host: "127.0.0.1",
    port: cluster.proxy.port,
    path: pathname,
    method: form ? "POST" : "GET",
    servername: "localhost",
    ca: cluster.proxy.webCertPem,
    headers,
    agent: false,
  });
  outgoing.end(form && new URLSearchParams(form).toString());
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  let text = "";
  for await (const part of response) text += part;
  return { status: response.statusCode ?? 0, text };
}

/** What the page's script would read. */
function optionsOf(page: string): Json {
  const escaped = /data-options="([^"]*)"/.exec(page)?.[1] ?? "{}";
  return JSON.parse(escaped.replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&amp;", "&"));
}

/** Opens the page and confirms there, as a browser would. */
function browser(seen: string[] = []): MfaPerson {
  return {
    open(url) {
      seen.push(url);
      void (async () => {
        const { text } = await fetchPage(url);
        const { status } = await fetchPage(url, { passkey: JSON.stringify(passkey.get(optionsOf(text))) });
        assert.equal(status, 200);
      })();
    },
  };
}

async function login(who: Parameters<typeof logIn>[0]["who"], person: MfaPerson): Promise<Profile> {
  const proxy = await findProxy(`localhost:${cluster.proxy.port}`, trust);
  return logIn({ proxy, who, person, trust, signal: AbortSignal.timeout(10_000) });
}

test("an invite with a passkey, then logins that the proxy's page confirms, with and without a password", async () => {
  await using admin = await cluster.adminClient();
  const { url } = await admin.call("user.invite", { name: "alice", roles: ["access"] });
  const { text } = await fetchPage(url);
  const made = { password: PASSWORD, confirm: PASSWORD, passkey: JSON.stringify(passkey.create(optionsOf(text))) };
  assert.equal((await fetchPage(url, made)).status, 200);
  assert.equal((await fetchPage(url, made)).status, 404, "the link is used up");

  const seen: string[] = [];
  const withPassword = await login({ user: "alice", password: PASSWORD }, browser(seen));
  assert.equal(withPassword.user, "alice");
  assert.match(seen[0] ?? "", /^https:\/\/localhost:\d+\/web\/mfa\/[0-9a-f]{64}$/);
  assert.equal((await login("passwordless", browser())).user, "alice");
  await assert.rejects(login({ user: "alice", password: PASSWORD }, {}), /there is no way to give it here/);

  const [added] = await cluster.auditEvents(["mfa.add"]);
  assert.match(added?.["addr.remote"] ?? "", /^127\.0\.0\.1:\d+$/, "the browser's address");
});

test("a wrong passkey leaves the page as it was, with the reason", async () => {
  await using nobody = cluster.anonymous();
  const csr = await createCsr(await generateKeyPair());
  const { mfa } = await nobody.call("login.password", { user: "alice", password: PASSWORD, csr });
  const url = mfa?.approve_url ?? "";
  const options = optionsOf((await fetchPage(url)).text);
  const foreign = passkey.get(options, { origin: "https://evil.test" });
  const refused = await fetchPage(url, { passkey: JSON.stringify(foreign) });
  assert.equal(refused.status, 400);
  assert.match(refused.text, /role="alert">the passkey is not accepted/);
  assert.equal(optionsOf(refused.text).challenge, options.challenge);
  assert.equal((await fetchPage(url, { passkey: "{}" })).status, 400);
  assert.equal((await fetchPage(url, { passkey: JSON.stringify(passkey.get(options)) })).status, 200);
  assert.equal((await fetchPage(url)).status, 403, "confirmed once");
});
