import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { encodeUtf8, sleep } from "../base/mod.ts";
import { exchange, startTestCluster, type TestCluster, type TestLogin, tcpApp } from "../testkit/mod.ts";

const PASSWORD = "correct horse battery staple";

let cluster: TestCluster;
let alice: TestLogin;
/** Hosts of the requests that the web server has seen. */
const seen: (string | undefined)[] = [];
const web = createServer((request, response) => {
  seen.push(request.headers.host);
  response.end("hello");
});

before(async () => {
  web.listen(0, "127.0.0.1");
  await once(web, "listening");
  const uri = `tcp://127.0.0.1:${(web.address() as AddressInfo).port}`;
  cluster = await startTestCluster({
    apps: [
      tcpApp("web", uri, { public_addr: "web.company.test", http_host_check: { allow: ["intranet"] } }),
      tcpApp("open", uri, { public_addr: "open.company.test", http_host_check: { mode: "off" } }),
    ],
  });
  await cluster.createUser("alice", PASSWORD);
  alice = await cluster.login("alice", PASSWORD);
});

after(async () => {
  await alice?.client.close();
  await cluster?.[Symbol.asyncDispose]();
  web.close();
});

/** What is answered to one request through the whole path, and the session. */
async function ask(app: string, host: string): Promise<{ answer: string; sid: string }> {
  const { session } = await cluster.appSession(alice, app);
  const { link } = await cluster.dialLink(session);
  const request = encodeUtf8(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  const answer = Buffer.from(await exchange(await link.open(0), request)).toString();
  link.close("done");
  return { answer, sid: session.sessionId };
}

for (const [app, host] of [
  ["web", "web.company.test"],
  ["web", "Intranet:8080"],
  ["open", "evil.test"],
] as const) {
  test(`${app} is asked for ${host}: passed on`, async () => {
    const { answer } = await ask(app, host);
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n.*hello/s);
    assert.equal(seen.pop(), host);
  });
}

test("a request for a foreign name gets 421, the app nothing, the audit log why", async () => {
  const { answer, sid } = await ask("web", "evil.test");
  assert.match(answer, /^HTTP\/1\.1 421 Misdirected Request\r\n/);
  assert.deepEqual(seen, []);
  assert.equal(cluster.app.counters.get("app.host-refused"), 1);
  const deadline = performance.now() + 5_000;
  for (;;) {
    const events = await cluster.auditEvents(["client.disconnect", "app.session.end"]);
    const ours = events.filter((event) => "sid" in event && event.sid === sid);
    const why = ours.find((event) => event.event === "client.disconnect");
    if (ours.length >= 2) {
      assert.equal(why && "reason" in why && why.reason, 'http_host_check: the request is for "evil.test"');
      return;
    }
    assert.ok(performance.now() < deadline, "no record of it");
    await sleep(20);
  }
});
