import { appView, ROOT_VIEW, startVirtualVnet } from "../../src/testkit/mod.ts";
import { appName } from "./population.ts";

/** Times (ms) of the first resolution of names that nobody has asked for yet, in a VNet of `apps` apps. */
export async function coldResolutions(apps: number, count: number): Promise<number[]> {
  const ends: (() => unknown)[] = [];
  const { host, directory } = startVirtualVnet({ after: (end) => void ends.push(end as () => unknown) });
  const cluster = {
    ...ROOT_VIEW,
    ipv4Cidr: "100.64.0.0/10",
    apps: Array.from({ length: apps }, (_, i) => appView(`${appName(i)}.company.test`)),
  };
  directory.change([cluster]);
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    // Spread over all of them.
    const name = `${appName(Math.floor((i * apps) / count))}.company.test`;
    const began = performance.now();
    const { addresses } = await host.lookup(name);
    times.push(performance.now() - began);
    if (addresses.length !== 1) throw new Error(`${name} was not answered`);
  }
  for (const end of ends) await end();
  return times;
}
