import type { Comparison } from "./samples.ts";

const GBIT = "Gbit/s";
const COST = "CPU s/GB";
const US = "µs";

/** The lines of the table, and what they must reach. */
export function comparisons(): Comparison[] {
  return [
    ...direction("up", "discard"),
    ...direction("down", "generate"),
    ...latencies(),
    { case: "resident memory of the process after the transfers", unit: "MiB", ours: "rss" },
    { case: "heap of one idle connection, its consumer included", unit: "octets", ours: "idle heap" },
    ...["up", "down"].flatMap((way) => hashed(way)),
  ];
}

function direction(way: string, own: string): Comparison[] {
  const loopback = (flows: number) => ({ name: "kernel loopback", key: `loopback ${way} ${flows}` });
  const node = (flows: number) => ({ name: "plain Node relay", key: `node ${way} ${flows}` });
  const rate = (name: string, key: string, flows = 1) => ({ case: name, unit: GBIT, ours: `${key} ${way} ${flows}` });
  const cost = (name: string, key: string, flows = 1) => ({
    case: name,
    unit: COST,
    ours: `${key} ${way} ${flows} cpu`,
  });
  const costOf = (reference: { name: string; key: string }) => ({ ...reference, key: `${reference.key} cpu` });
  return [
    {
      ...rate(`${own} ${way}`, "own"),
      reference: { name: "iperf3 over loopback", key: `iperf3 ${way} 1` },
      atLeast: 1,
    },
    { ...rate(`${own} ${way}`, "own"), reference: loopback(1) },
    cost(`${own} ${way}`, "own"),
    { ...rate(`relay ${way}`, "relay"), reference: loopback(1), atLeast: 0.6 },
    { ...rate(`relay ${way}`, "relay"), reference: node(1), atLeast: 1.5 },
    { ...rate(`relay ${way}`, "relay"), reference: { name: "slirp4netns, MTU 65520", key: `slirp4netns ${way} 1` } },
    { ...rate(`relay ${way}`, "relay"), reference: { name: "pasta, MTU 65520", key: `pasta ${way} 1` } },
    { ...cost(`relay ${way}`, "relay"), reference: costOf(node(1)), atMost: 0.75 },
    { ...cost(`relay ${way}`, "relay"), reference: { name: "slirp4netns", key: `slirp4netns ${way} 1 cpu` } },
    { ...cost(`relay ${way}`, "relay"), reference: { name: "pasta", key: `pasta ${way} 1 cpu` } },
    { ...rate(`relay ${way}, 16 flows`, "relay", 16), reference: loopback(16), atLeast: 0.6 },
    { ...rate(`relay ${way}, 16 flows`, "relay", 16), reference: node(16), atLeast: 1.5 },
    { ...cost(`relay ${way}, 16 flows`, "relay", 16), reference: costOf(node(16)), atMost: 0.75 },
    { ...rate(`relay ${way}, no offload, MTU 16384`, "large"), reference: loopback(1), atLeast: 0.3 },
    cost(`relay ${way}, no offload, MTU 16384`, "large"),
    { ...rate(`relay ${way}, no offload, MTU 1500`, "segments"), reference: loopback(1) },
    cost(`relay ${way}, no offload, MTU 1500`, "segments"),
  ];
}

function latencies(): Comparison[] {
  const beside = (name: string, unit: string, key: string, limit?: number): Comparison => ({
    case: name,
    unit,
    ours: `own ${key}`,
    reference: { name: "kernel loopback", key: `loopback ${key}` },
    ...(limit === undefined ? {} : { atMost: limit }),
  });
  return [
    beside("connect, one after the other, p50", US, "connect 1", 4),
    beside("connections, one after the other", "1/s", "rate 1"),
    beside("connect, 16 in flight, p50", US, "connect 16"),
    beside("connections, 16 in flight", "1/s", "rate 16"),
    beside("TCP request and response, p50", US, "tcp", 5),
    beside("ICMP echo, p50", US, "ping"),
  ];
}

function hashed(way: string): Comparison[] {
  const line = (name: string, key: string, flows: number): Comparison => ({
    case: `${name} ${way}, SHA-256 at both ends`,
    unit: GBIT,
    ours: `${key} ${way} ${flows} hashed`,
    reference: { name: "kernel loopback, hashed too", key: `loopback ${way} ${flows} hashed` },
  });
  return [
    line(way === "up" ? "discard" : "generate", "own", 1),
    line("relay", "relay", 1),
    line("relay of 16 flows", "relay", 16),
    line("relay, no offload, MTU 16384,", "large", 1),
    line("relay, no offload, MTU 1500,", "segments", 1),
  ];
}
