import { spawn } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { programPath } from "../../src/testkit/mod.ts";
import { cpuSeconds, output, Part } from "./processes.ts";

/** pasta copies the addresses of an Ethernet interface with a default route; what goes to the gateway it takes to loopback. */
const UPLINK_GATEWAY = "10.6.0.2";
const UPLINK = [
  "link add uplink0 type veth peer name uplink1",
  "address add 10.6.0.1/24 dev uplink0",
  "link set uplink0 up",
  "link set uplink1 up",
  `route add default via ${UPLINK_GATEWAY}`,
];

/** Somebody else's userspace network: a client in a namespace of its own, whose only way out it is. */
export interface Reference {
  readonly name: string;
  /** Under which the client finds the far endpoint's loopback. */
  readonly host: string;
  readonly near: Part;
  readonly cpu: { cpu(): number };
  stop(): void;
}

/** Those that are installed and work. */
export async function startReferences(here: string[], port: number): Promise<Reference[]> {
  const started: Reference[] = [];
  for (const command of UPLINK) await output([...here, "ip", ...command.split(" ")]);
  for (const [name, host, command] of [
    ["slirp4netns", "10.0.2.2", (pid: number) => ["slirp4netns", "--configure", "--mtu=65520", String(pid), "tap0"]],
    [
      "pasta",
      UPLINK_GATEWAY,
      (pid: number) => [
        ..."pasta --config-net -f -q -4 -m 65520 -t none -u none -T none -U none".split(" "),
        String(pid),
      ],
    ],
  ] as const) {
    if (programPath(name) === undefined) continue;
    const [near] = await Part.start([...here, "unshare", "-rn"], "client.ts");
    await wait(300); // until it is in its namespace
    const full = [...here, ...command(near.child.pid!)];
    const child = spawn(full[0]!, full.slice(1), { stdio: ["ignore", "ignore", "ignore"] });
    await wait(1_500);
    const stop = () => {
      child.kill();
      near.stop();
    };
    const reference: Reference = { name, host, near, cpu: { cpu: () => cpuSeconds(child) }, stop };
    if (child.exitCode === null && (await works(reference, port))) started.push(reference);
    else {
      console.error(`${name} does not work here: left out`);
      stop();
    }
  }
  return started;
}

async function works({ near, host }: Reference, port: number): Promise<boolean> {
  const trial = near.run({ job: "round-trips", host, port, count: 3 }).then(
    () => true,
    () => false,
  );
  return Promise.race([trial, wait(3_000, false)]);
}
