/** What is done to a cluster while connections are live, and what of them must survive (PROTOCOL section 4). */
import { sleep } from "../../src/base/mod.ts";
import type { FaultCluster } from "./fault-cluster.ts";

export interface Fault {
  readonly name: string;
  /** "all": no stream is lost. "none": they are reset, within 15 s, or at the end of a drain. */
  readonly survives: "all" | "none";
  /** Seconds that the fault lasts, of its short and of its full form. */
  readonly seconds: readonly [short: number, full: number];
  /** Done, and undone again. */
  inflict(cluster: FaultCluster, seconds: number): Promise<void>;
  /** So that the next fault finds all as it was. */
  mend?(cluster: FaultCluster): Promise<void>;
}

export const FAULTS: readonly Fault[] = [
  {
    name: "kill -9 of the only way: both proxies, and their restart",
    survives: "all",
    seconds: [2, 5],
    async inflict(cluster, seconds) {
      await Promise.all([cluster.kill("proxy-one"), cluster.kill("proxy-two")]);
      await sleep(seconds * 1_000);
      await Promise.all([cluster.startPart("proxy-one"), cluster.startPart("proxy-two")]);
    },
  },
  {
    name: "kill -9 of one of two proxies",
    survives: "all",
    seconds: [5, 10],
    async inflict(cluster, seconds) {
      await cluster.kill("proxy-one");
      await sleep(seconds * 1_000);
    },
    mend: (cluster) => cluster.startPart("proxy-one"),
  },
  {
    name: "the laptop's interface down",
    survives: "all",
    seconds: [9, 30],
    async inflict(cluster, seconds) {
      await cluster.ip("link set eth0 down");
      await sleep(seconds * 1_000);
      await cluster.ip("link set eth0 up", "route replace default via 198.51.100.1");
    },
  },
  {
    name: "another address for the laptop",
    survives: "all",
    seconds: [5, 10],
    async inflict(cluster, seconds) {
      await cluster.ip(
        "addr del 198.51.100.10/24 dev eth0",
        "addr add 198.51.100.77/24 dev eth0",
        "route replace default via 198.51.100.1",
      );
      await sleep(seconds * 1_000);
    },
    mend: (cluster) =>
      cluster.ip(
        "addr del 198.51.100.77/24 dev eth0",
        "addr add 198.51.100.10/24 dev eth0",
        "route replace default via 198.51.100.1",
      ),
  },
  {
    name: "Auth down; new connections to known apps meanwhile",
    survives: "all",
    seconds: [5, 120],
    async inflict(cluster, seconds) {
      await cluster.kill("auth");
      const made = await cluster.connects();
      if (made.error) throw new Error(`a new connection failed while Auth was away: ${made.error}`);
      await sleep(seconds * 1_000);
      const late = await cluster.connects();
      if (late.error) throw new Error(`a new connection failed while Auth was away: ${late.error}`);
      await cluster.startPart("auth");
    },
  },
  {
    name: "a slow path: 4 Mbit/s with a short queue, which loses the rest",
    survives: "all",
    seconds: [5, 30],
    async inflict(cluster, seconds) {
      await cluster.laptop.execOk("tc qdisc add dev eth0 root tbf rate 4mbit burst 16k latency 100ms".split(" "));
      await sleep(seconds * 1_000);
      await cluster.laptop.execOk("tc qdisc del dev eth0 root".split(" "));
    },
  },
  {
    name: "a path that swallows everything, silently",
    survives: "all",
    seconds: [10, 60],
    async inflict(cluster, seconds) {
      await cluster.laptop.execOk("tc qdisc replace dev eth0 root tbf rate 8bit burst 1 latency 1ms".split(" "));
      await sleep(seconds * 1_000);
      await cluster.laptop.execOk("tc qdisc del dev eth0 root".split(" "));
    },
  },
  {
    name: "proxies out of file descriptors",
    survives: "all",
    seconds: [5, 15],
    async inflict(cluster, seconds) {
      const limit = (most: number) =>
        Promise.all((["proxy-one", "proxy-two"] as const).map((part) => cluster.limitDescriptors(part, most)));
      await limit(10);
      if (await cluster.proxyAnswers()) throw new Error("the proxy still takes new connections");
      await sleep(seconds * 1_000);
      await limit(4_096);
    },
  },
  {
    name: "SIGTERM of the agent, with a second one: streams have the grace period (5 s)",
    survives: "none",
    seconds: [6, 6],
    async inflict(cluster, seconds) {
      await cluster.startPart("agent-two");
      cluster.process("agent-one").signal("SIGTERM");
      await sleep(1_000);
      const made = await cluster.connects();
      if (made.error) throw new Error(`a new connection failed: ${made.error}`);
      await sleep(seconds * 1_000);
    },
    async mend(cluster) {
      await cluster.startPart("agent-one");
      await cluster.kill("agent-two");
      await sleep(1_000);
    },
  },
  {
    name: "kill -9 of the agent",
    survives: "none",
    seconds: [12, 14],
    async inflict(cluster, seconds) {
      await cluster.kill("agent-one");
      await sleep(seconds * 1_000);
    },
    mend: (cluster) => cluster.startPart("agent-one"),
  },
];
