/** Real programs in a network whose only way out is an HTTP proxy. */
import assert from "node:assert/strict";
import test from "node:test";
import { freePort, needs, TestConnectProxy } from "../../src/testkit/mod.ts";
import { EXEC_NEEDS, LoopbackCluster } from "./loopback-cluster.ts";
import { pulseTo } from "./pulse.ts";

test("login, agent, tctl and VNet go through HTTPS_PROXY, and say what it refuses", needs(...EXEC_NEEDS), async () => {
  await using corporate = await TestConnectProxy.start({ auth: "alice:secret" });
  const proxyPort = await freePort();
  // A name that only the HTTP proxy finds.
  const publicAddr = `cluster.example.test:${proxyPort}`;
  const environment = { HTTPS_PROXY: `http://alice:secret@localhost:${corporate.port}`, NO_PROXY: "other.test" };
  await using cluster = await LoopbackCluster.start({
    apart: true,
    proxyPort,
    publicAddr,
    joinAddr: publicAddr,
    environment,
  });

  await using vnet = cluster.spawn("tsh", ["vnet", "exec", "--", ...pulseTo("echo.company.test", 80)]);
  vnet.write("\n");
  await vnet.waitFor(/^pulse 1$/m);
  vnet.endInput();
  await vnet.waitFor(/^whole$/m);
  const asLogin = { env: { TELEPORT_CONFIG_FILE: "" } };
  assert.match(await cluster.ok("tctl", ["status"], asLogin), /CA pin/);
  assert.deepEqual(new Set(corporate.asked), new Set([publicAddr]));

  await using strict = await TestConnectProxy.start({ refuse: 403 });
  const said = async (httpsProxy: string) => {
    const { code, stderr } = await cluster.run("tsh", ["apps", "ls"], { env: { HTTPS_PROXY: httpsProxy } });
    assert.notEqual(code, 0);
    return stderr;
  };
  const refusal = await said(`http://localhost:${strict.port}`);
  assert.match(refusal, /refused to connect to cluster\.example\.test:\d+ \(status 403\): ask its administrator/);
  assert.match(await said(`http://alice:wrong@localhost:${corporate.port}`), /wants a user name and a password/);
  assert.match(await said("socks5://localhost:1080"), /HTTPS_PROXY names a proxy of the kind socks5/);
});
