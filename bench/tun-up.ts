import { execFileSync } from "node:child_process";
import { TUN_ROUTE } from "../src/oscfg/mod.ts";
import { TUN_MTU } from "../src/tun/mod.ts";

/** Brings the device up in this namespace, with `address` and the way to `range`, as VNet does on a host. */
export function bringUp(name: string, address: string, range: string): void {
  execFileSync("ip", ["-batch", "-"], {
    input: `
      link set ${name} mtu ${TUN_MTU} txqueuelen 5000 addrgenmode none
      link set ${name} up
      address add ${address}/32 dev ${name}
      route add ${range} dev ${name} ${TUN_ROUTE.join(" ")}
    `,
  });
}
