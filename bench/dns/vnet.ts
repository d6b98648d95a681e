/**
 * The measured process: a TUN and VNet on it. `vnet.ts UPSTREAM_PORT`; IPC: `"ready"`. It serves `NAMES` names below
 * `ZONE` and forwards the others to 127.0.0.1:UPSTREAM_PORT.
 */
import { Counters, silentLogger, systemClock, systemRandom } from "../../src/base/mod.ts";
import { Upstreams } from "../../src/dns/mod.ts";
import { FakeDirectory } from "../../src/testkit/mod.ts";
import { openTun, TUN_MTU } from "../../src/tun/mod.ts";
import { planAddresses, VNet } from "../../src/vnet/mod.ts";
import { bringUp } from "../tun-up.ts";
import { DNS_ADDRESS, LOCAL_NAMES, ZONE } from "./names.ts";

const [port] = process.argv.slice(2).map(Number);
const directory = new FakeDirectory();
directory.view = [
  {
    profile: "teleport.example.com",
    cluster: "teleport.example.com",
    proxyHosts: ["teleport.example.com"],
    zones: [ZONE],
    ipv4Cidr: "100.64.0.0/10",
    apps: LOCAL_NAMES.map((name) => ({ name, publicAddr: name, protocol: "tcp", tcpPorts: [] })),
  },
];
const addresses = planAddresses(directory.view, systemRandom);
if (addresses.dnsV4 !== DNS_ADDRESS) throw new Error(`the DNS server is at ${addresses.dnsV4}`);
const tun = openTun({ mtu: TUN_MTU });
bringUp(tun.name, addresses.tunV4, "100.64.0.0/10");
const counters = new Counters();
const upstreams = new Upstreams({ servers: () => ["127.0.0.1"], port: port!, clock: systemClock, counters });
const vnet = new VNet({
  ...{ tun, directory, addresses, upstreams, counters },
  clock: systemClock,
  random: systemRandom,
  log: silentLogger,
});
process.on("disconnect", () => process.exit(0));
void vnet.run();
process.send!("ready");
