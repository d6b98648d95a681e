import assert from "node:assert/strict";
import { test } from "node:test";
import { connectProxyOf, through } from "../dial/mod.ts";
import { selfSignedWebCert } from "../pki/mod.ts";
import { TestConnectProxy } from "../testkit/mod.ts";
import { dialAppLink } from "./dial-app-link.ts";
import { clientTools, TestProxy } from "./path-harness.ts";
import { endsAfterLoss } from "./pinger.ts";

for (const secure of [false, true]) {
  test(`agent and client behind HTTP proxies${secure ? " that speak TLS" : ""}: control, data and links`, async () => {
    const tls = await selfSignedWebCert(["localhost"], Date.now());
    await using corporate = await TestConnectProxy.start({ auth: "alice:secret", ...(secure && { tls }) });
    const settings = connectProxyOf(`http${secure ? "s" : ""}://alice:secret@localhost:${corporate.port}`);
    const dialTcp = through(settings, () => [tls.certPem]);
    await using proxy = await TestProxy.start();
    // A name that only the HTTP proxy finds.
    const address = `cluster.example.test:${proxy.port}`;
    const agent = await proxy.addAgent("agent-1", { proxyAddress: address, dialTcp });
    const app = await dialAppLink({
      ...clientTools(),
      session: await proxy.session(),
      proxies: [address],
      resume: true,
      dialTcp,
    });
    assert.deepEqual(await endsAfterLoss(app, proxy, 4), Array(4).fill("end"));
    app.link.close("done");
    assert.equal(agent.server.links, 1);
    assert.deepEqual(new Set(corporate.asked), new Set([address]));
    assert.ok(corporate.asked.length >= 6, "control, data and carrier, twice");
  });
}

test("an HTTP proxy that refuses is what the client is told of", async () => {
  await using corporate = await TestConnectProxy.start({ refuse: 403 });
  await using proxy = await TestProxy.start();
  await proxy.addAgent("agent-1");
  const dialling = dialAppLink({
    ...clientTools(),
    session: await proxy.session(),
    proxies: [`cluster.example.test:${proxy.port}`],
    dialTcp: through(connectProxyOf(`localhost:${corporate.port}`), () => []),
  });
  await assert.rejects(dialling, /cannot reach the proxy .* refused to connect .* \(status 403\)/);
});
