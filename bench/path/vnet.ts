import { Resolver } from "node:dns/promises";
import { type ByteStream, Counters, silentLogger, systemClock, systemRandom } from "../../src/base/mod.ts";
import { Upstreams } from "../../src/dns/mod.ts";
import { openTun, TUN_MTU } from "../../src/tun/mod.ts";
import { planAddresses, VNet } from "../../src/vnet/mod.ts";
import { bringUp } from "../tun-up.ts";
import type { Entry } from "./part.ts";

const RANGE = "100.64.0.0/16";
/** Any: the app serves all. */
const PORT = 5432;

/** Opens a connection to an app. */
export type Dial = () => Promise<ByteStream>;

/** A TUN and VNet on it, with an app for each of `dials`; returns where they are. */
export async function vnetTo(dials: readonly Dial[]): Promise<Entry[]> {
  const names = dials.map((_, i) => `app${i}.bench.test`);
  const app = (publicAddr: string) => ({ name: publicAddr, publicAddr, protocol: "tcp", tcpPorts: [] }) as const;
  const cluster = { profile: "proxy.test", cluster: "bench", proxyHosts: ["proxy.test"], zones: ["bench.test"] };
  const view = [{ ...cluster, ipv4Cidr: RANGE, apps: names.map(app) }];
  const addresses = planAddresses(view, systemRandom);
  const tun = openTun({ mtu: TUN_MTU });
  bringUp(tun.name, addresses.tunV4, RANGE);
  const common = { clock: systemClock, counters: new Counters() };
  const vnet = new VNet({
    ...common,
    ...{ tun, addresses, ipv6: false, random: systemRandom, log: silentLogger },
    upstreams: new Upstreams({ ...common, servers: () => [] }),
    directory: {
      clusters: () => view,
      onChange: () => () => {},
      dial: (_, { publicAddr }) => dials[names.indexOf(publicAddr)]!(),
    },
  });
  void vnet.run();
  const resolver = new Resolver();
  resolver.setServers([addresses.dnsV4]);
  return Promise.all(names.map(async (name) => ({ host: (await resolver.resolve4(name))[0]!, port: PORT })));
}
