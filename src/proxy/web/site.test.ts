import assert from "node:assert/strict";
import { test } from "node:test";
import { VERSION } from "../../base/mod.ts";
import { WebProblem, type WebRequest } from "./answers.ts";
import { loadAssets } from "./assets.ts";
import type { WebBackend } from "./contract.ts";
import { respond } from "./site.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";

const nothing = () => Promise.reject(new WebProblem(404, "this link does not exist"));
const assets = loadAssets();

function backend(overrides: Partial<WebBackend> = {}): WebBackend {
  return {
    facts: () => ({
      clusterName: "teleport.example.com",
      hosts: ["teleport.example.com", "alias.example.com"],
      publicAddr: "teleport.example.com:443",
      tunnelPublicAddr: "tunnel.example.com:443",
      webListenAddr: "0.0.0.0:443",
    }),
    preference: () => ({
      accepted: [],
      optional: false,
      passwordless: true,
      rpId: undefined,
      defaultSessionTtlMs: 12 * 3_600_000,
      messageOfTheDay: "Be kind.",
    }),
    trust: async () => ({ cluster_name: "teleport.example.com", generation: 1, host_cas: ["PEM"] }),
    readLink: async (token) => {
      if (token !== TOKEN) throw new WebProblem(404, "this link does not exist");
      return { user: "al<i>ce", kind: "invite", expires: "2027-01-01T00:00:00Z", mfaOptional: true };
    },
    readApproval: nothing,
    confirmApproval: nothing,
    readRegistration: nothing,
    confirmRegistration: nothing,
    acceptLink: async ({ password }) => {
      if (password.length < 12) throw new WebProblem(400, "A password needs 12 characters or more.");
      return { user: "al<i>ce" };
    },
    appAt: (host) => {
      if (host === "web.teleport.example.com") return { name: "web", protocol: "http" };
      return host === "tcp.teleport.example.com" ? { name: "tcp", protocol: "tcp" } : undefined;
    },
    ...overrides,
  };
}

async function ask(target: string, o: Partial<WebRequest> & { text?: string } = {}) {
  const request: WebRequest = {
    method: o.method ?? "GET",
    target,
    host: o.host ?? "teleport.example.com:443",
    contentType: o.contentType ?? "",
    client: "192.0.2.1:40000",
    body: new TextEncoder().encode(o.text ?? ""),
  };
  const response = await respond(request, backend(), assets);
  return { ...response, text: new TextDecoder().decode(response.body) };
}

test("find and ping answer with and without /v1, with a bare version", async () => {
  for (const path of ["/webapi/find", "/v1/webapi/find", "/webapi/ping", "/v1/webapi/ping?group=x"]) {
    const { status, text } = await ask(path);
    assert.equal(status, 200, path);
    const found = JSON.parse(text);
    assert.equal(found.server_version, VERSION);
    assert.match(found.server_version, /^\d+\.\d+\.\d+$/);
    assert.equal(found.min_client_version, `${Number(VERSION.split(".")[0]) - 1}.0.0`);
    assert.equal(found.cluster_name, "teleport.example.com");
    assert.equal(found.proxy.ssh.public_addr, "teleport.example.com:443");
    assert.equal(found.proxy.ssh.ssh_tunnel_public_addr, "tunnel.example.com:443");
    assert.equal(found.proxy.tls_routing_enabled, true);
    assert.equal(found.auth.type, path.includes("ping") ? "local" : "");
  }
  const { auth } = JSON.parse((await ask("/webapi/ping")).text);
  assert.deepEqual([auth.second_factor, auth.has_motd], ["off", true]);
  assert.deepEqual(JSON.parse((await ask("/webapi/motd")).text), { text: "Be kind." });
});

test("every response has the security headers, every page a content policy", async () => {
  for (const target of ["/", "/web", "/webapi/find", "/nowhere", `/web/invite/${TOKEN}`, "/web/invite/unknown", "/%"]) {
    const { headers } = await ask(target);
    assert.equal(headers["Strict-Transport-Security"], "max-age=31536000; includeSubDomains", target);
    assert.equal(headers["X-Content-Type-Options"], "nosniff", target);
    assert.equal(headers["X-Frame-Options"], "SAMEORIGIN", target);
    assert.equal(headers["Referrer-Policy"], "strict-origin", target);
    assert.equal(headers["X-XSS-Protection"], "1; mode=block", target);
    if (headers["Content-Type"]?.startsWith("text/html")) {
      assert.match(headers["Content-Security-Policy"] ?? "", /script-src 'self'; .*frame-ancestors 'none'/, target);
      assert.equal(headers["Cache-Control"], "no-store", target);
    }
  }
});

test("the root leads to /web, what is unknown is a JSON error", async () => {
  const root = await ask("/");
  assert.deepEqual([root.status, root.headers.Location], [302, "/web"]);
  for (const [target, method, status] of [
    ["/nowhere", "GET", 404],
    ["/webapi/find/x", "GET", 404],
    ["/webapi/find", "POST", 405],
    ["/webapi/users/password/token", "PUT", 400],
    ["web", "GET", 400],
    ["*", "OPTIONS", 400],
    ["/%ff", "GET", 400],
  ] as const) {
    const answer = await ask(target, { method });
    assert.equal(answer.status, status, target);
    assert.equal(typeof JSON.parse(answer.text).error.message, "string", target);
  }
  assert.equal((await ask("/webapi/find", { method: "DELETE" })).headers.Allow, "GET");
  assert.equal((await ask("/webapi/find", { method: "HEAD" })).status, 200);
  assert.equal((await ask("https://teleport.example.com/webapi/find?x=/y")).status, 200);
});

test("an invitation is a form without script that sets the password", async () => {
  const path = `/web/invite/${TOKEN}`;
  const form = await ask(path);
  assert.equal(form.status, 200);
  assert.match(form.text, /al&lt;i&gt;ce/);
  assert.doesNotMatch(form.text, /<script|<i>/);

  const post = (text: string, contentType = "application/x-www-form-urlencoded; charset=utf-8") =>
    ask(path, { method: "POST", contentType, text });
  const done = await post("password=correct+horse+battery&confirm=correct+horse+battery");
  assert.equal(done.status, 200);
  assert.match(done.text, /tsh login --proxy=teleport\.example\.com:443 --user=al&lt;i&gt;ce/);

  for (const [text, problem] of [
    ["password=correct+horse+battery&confirm=other", /passwords differ/],
    ["password=short&confirm=short", /12 characters/],
    ["", /12 characters/],
  ] as const) {
    const refused = await post(text);
    assert.equal(refused.status, 400);
    assert.match(refused.text, problem);
    assert.match(refused.text, /<form/, "the form is shown again");
  }
  assert.equal((await post("{}", "application/json")).status, 415);
  assert.equal((await ask("/web/invite/unknown")).status, 404);
  assert.equal((await ask(path, { method: "PUT" })).status, 405);
});

test("an invitation is accepted as JSON too, with the password in base64", async () => {
  const put = (body: object) => ask("/v1/webapi/users/password/token", { method: "PUT", text: JSON.stringify(body) });
  const password = btoa("correct horse battery");
  assert.deepEqual(JSON.parse((await put({ token: TOKEN, password })).text), { user: "al<i>ce" });
  for (const body of [
    {},
    { token: TOKEN },
    { token: TOKEN, password: "not base64!" },
    { token: [], password },
    { token: TOKEN, password: `${password}\n` },
  ]) {
    assert.equal((await put(body)).status, 400, JSON.stringify(body));
  }
  assert.equal(JSON.parse((await ask(`/webapi/users/password/token/${TOKEN}`)).text).user, "al<i>ce");
});

test("the name of an app gets a page that says what is missing", async () => {
  const web = await ask("/any/path", { host: "Web.Teleport.Example.Com:443" });
  assert.equal(web.status, 501);
  assert.match(web.text, /does not serve web apps yet/);
  const tcp = await ask("/", { host: "tcp.teleport.example.com" });
  assert.match(tcp.text, /tsh vnet/);
  assert.equal((await ask("/", { host: "other.example.com" })).status, 404);
  for (const host of ["", "localhost:3080", "127.0.0.1", "[::1]:443", "TELEPORT.example.com.", "alias.example.com"]) {
    assert.equal((await ask("/web", { host })).status, 200, host);
  }
  const unknown = { host: "other.example.com" };
  assert.equal((await ask("/webapi/find", unknown)).status, 200, "a program may know the proxy by another name");
});
