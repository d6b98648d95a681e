import assert from "node:assert/strict";
import { test } from "node:test";
import { explain, type VnetStatus, viewOf } from "../../vnet/mod.ts";
import { explanationText } from "./vnet-explain.ts";
import { statusText } from "./vnet-status.ts";

const STATUS: VnetStatus = {
  version: 1,
  pid: 4711,
  tsh_version: "17.7.2",
  kind: "host",
  started: new Date(Date.now() - 65_000).toISOString(),
  device: { name: "vnet0", mtu: 65_535 },
  addresses: { tun: ["100.64.0.1", "fd01::1"], dns: ["100.64.0.2", "fd01::2"] },
  upstreams: [
    { address: "192.0.2.1", failed: false },
    { address: "192.0.2.2", failed: true },
  ],
  clusters: [
    {
      profile: "teleport.example.com",
      cluster: "teleport.example.com",
      login: "expired",
      zones: ["company.test"],
      proxies: ["teleport.example.com"],
      ipv4_cidr: "100.64.0.0/10",
      apps: [
        {
          name: "db",
          public_addr: "db.company.test",
          protocol: "tcp",
          tcp_ports: [{ port: 5432 }, { port: 1, end_port: 9 }],
        },
        { name: "web", public_addr: "web.company.test", protocol: "http", tcp_ports: [] },
      ],
    },
  ],
  names: [{ host: "db.company.test", v4: "100.64.0.9", v6: "fd01::6440:9" }],
  apps: [
    {
      app: "db",
      cluster: "teleport.example.com",
      host: "db.company.test",
      ...{ open: 1, total: 12, refused: 3, to_app: 1023, from_app: 5 * 1024 ** 3 },
    },
  ],
  connections: [],
  counters: {},
};

test("the status as a person reads it", () => {
  assert.equal(
    statusText(STATUS),
    `VNet of this machine pid 4711, running for 1m5s
Device               vnet0, MTU 65535, 100.64.0.1, fd01::1
DNS server           100.64.0.2, fd01::2
Other names          192.0.2.1, 192.0.2.2 (silent lately)

Cluster              Login   Zones                              Addresses     TCP Apps
-------------------- ------- ---------------------------------- ------------- --------
teleport.example.com expired company.test, teleport.example.com 100.64.0.0/10 1

Name            Address    Open Total Refused To App From App
--------------- ---------- ---- ----- ------- ------ --------
db.company.test 100.64.0.9 1    12    3       1023 B 5.0 GiB
`,
  );
});

test("who asks VNet for its names, and what the person should do about it", () => {
  const asked = (resolver: NonNullable<VnetStatus["resolver"]>) =>
    /^Asked by +(.*)$/m.exec(statusText({ ...STATUS, resolver }))?.[1];
  assert.equal(asked({ manager: "systemd-resolved" }), "systemd-resolved");
  assert.equal(asked({ manager: "file" }), "all programs that read /etc/resolv.conf");
  assert.equal(
    asked({ manager: "none", note: "send company.test to 100.64.0.2" }),
    "nobody, unless you see to it (send company.test to 100.64.0.2)",
  );
});

test("explain sees what the running VNet sees, and says where it stops", () => {
  const clusters = STATUS.clusters.map(viewOf);
  assert.deepEqual(clusters[0]!.apps[0]!.tcpPorts, [{ port: 5432 }, { port: 1, endPort: 9 }]);
  assert.equal(
    explanationText(explain("db.company.test:80", { clusters, addressesOf: () => ["100.64.0.9"] })),
    `ok   carve-out not a proxy's own name
ok   zone      company.test of teleport.example.com
ok   cluster   teleport.example.com
ok   app       db of teleport.example.com
wait login     the login to teleport.example.com has expired: a connection waits for a new one, then is refused
ok   address   100.64.0.9
stop port      80 is not among the target ports of the app: 5432, 1-9; a connection is refused
db.company.test:80 stops there.
`,
  );
});
