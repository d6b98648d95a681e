import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTeleportConfig, type StartingFileOptions, startingFile, type TeleportConfig } from "./mod.ts";

function parsed(options: StartingFileOptions): TeleportConfig {
  return parseTeleportConfig(startingFile(options), "teleport.yaml");
}

test("without flags: Auth and a proxy on one host, valid and without a warning", () => {
  const config = parsed({});
  assert.deepEqual(config.warnings, []);
  assert.deepEqual([config.auth?.listenAddr, config.proxy?.webListenAddr], ["0.0.0.0:3025", "0.0.0.0:3080"]);
  assert.equal(config.app, undefined);
});

test("each flag is in the file", () => {
  const all = parsed({
    clusterName: "root.example.com",
    nodeName: "host: 1",
    dataDir: "/srv/t",
    publicAddr: "teleport.example.com",
    certFile: "/c.pem",
    keyFile: "/k.pem",
    appName: "db",
    appUri: "tcp://localhost:5432",
  });
  assert.equal(all.auth?.clusterName, "root.example.com");
  assert.deepEqual([all.nodename, all.dataDir], ["host: 1", "/srv/t"]);
  // Without a port 443, and the proxy listens there.
  assert.deepEqual(all.proxy?.publicAddrs, ["teleport.example.com:443"]);
  assert.equal(all.proxy?.webListenAddr, "0.0.0.0:443");
  assert.deepEqual(all.proxy?.httpsKeypairs, [{ certFile: "/c.pem", keyFile: "/k.pem" }]);
  assert.equal(all.app?.apps[0]?.spec.uri, "tcp://localhost:5432");
  const agent = parsed({
    roles: ["app"],
    proxyServer: "p.example.com:443",
    token: "s3cret",
    caPins: [`sha256:${"a".repeat(64)}`],
  });
  assert.deepEqual([agent.auth, agent.proxy, agent.app?.apps], [undefined, undefined, []]);
  assert.deepEqual([agent.proxyServer, agent.joinToken], ["p.example.com:443", { value: "s3cret" }]);
  assert.equal(agent.caPins.length, 1);
});

test("values that YAML would read as something else stay what they are", () => {
  for (const name of ["yes", "null", "1.5", "a #b", "x: y", '"', "[a]", "é", "- a", "a:"]) {
    assert.equal(parsed({ nodeName: name }).nodename, name);
  }
});

test("flags that contradict each other are refused in a sentence", () => {
  for (const [flags, message] of [
    [{ certFile: "/c" }, /--cert-file and --key-file belong together/],
    [{ appName: "db" }, /--app-name and --app-uri belong together/],
    [{ authServer: "a:1", proxyServer: "p:1" }, /either --auth-server or --proxy/],
    [{ roles: ["app"] }, /join a cluster: say where/],
    [{ roles: ["node"] }, /no role "node"/],
    [{ publicAddr: "https://x/" }, /expected a host/],
  ] as const) {
    assert.throws(() => startingFile(flags), message);
  }
});

test("what is commented out may be uncommented", () => {
  const file = startingFile({ appName: "db", appUri: "tcp://localhost:5432" });
  const bare = file.replaceAll(/^( *)# ((?: *)[a-z_"*-]+:.*|(?: *)- [a-z_]+:.*)$/gm, "$1$2");
  assert.notEqual(bare, file);
  const config = parseTeleportConfig(bare, "teleport.yaml");
  assert.equal(config.diagAddr, "127.0.0.1:3000");
  assert.deepEqual(config.app?.selectors, [{ "*": "*" }]);
});
