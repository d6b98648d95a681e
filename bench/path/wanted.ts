import type { Comparison } from "../tun/samples.ts";
import { ROLES } from "./paths.ts";

/** Where our path begins, as the samples call it. */
export const OURS = { vnet: "through VNet", link: "from a local port" } as const;
export const DIRECTIONS = ["up", "down"] as const;
export const STREAMS = [1, 16] as const;

const REFERENCES = {
  terminating: "TLS ended at the proxy",
  plain: "three plain relays",
  direct: "kernel loopback",
  haproxy: "haproxy to haproxy",
  stunnel: "stunnel to stunnel",
} as const;

type Our = keyof typeof OURS;
type Reference = keyof typeof REFERENCES;
type Limits = Pick<Comparison, "atLeast" | "atMost">;

/** The lines of the table, and what they must reach. */
export function comparisons(): Comparison[] {
  return Object.keys(OURS).flatMap((ours) => [
    ...DIRECTIONS.flatMap((way) => STREAMS.flatMap((streams) => transfers(ours as Our, `${way} ${streams}`))),
    ...connections(ours as Our),
    ...roundTrips(ours as Our),
    ...memory(ours as Our),
  ]);
}

function line(ours: Our, what: string, unit: string, key: string, reference: Reference, limits: Limits = {}) {
  const theirs = { name: REFERENCES[reference], key: `${reference} ${key}` };
  return { case: `${OURS[ours]}: ${what}`, unit, ours: `${ours} ${key}`, reference: theirs, ...limits };
}

function transfers(ours: Our, key: string): Comparison[] {
  const [way, streams] = key.split(" ");
  const what = `${way}, ${streams === "1" ? "1 stream" : `${streams} streams`}`;
  const rate = (reference: Reference, limits?: Limits) => line(ours, what, "Gbit/s", key, reference, limits);
  const cost = (part: string, reference: Reference, limits?: Limits) =>
    line(ours, `${what}: CPU of ${part}`, "s/GB", `${key} ${part}`, reference, limits);
  return [
    rate("terminating", { atLeast: 1.5 }),
    ...(["plain", "direct", "haproxy", "stunnel"] as const).map((reference) => rate(reference)),
    ...ROLES.map((role) => cost(role, "terminating", role === "proxy" ? { atMost: 0.4 } : {})),
    cost("all three", "terminating"),
    cost("all three", "plain"),
  ];
}

function connections(ours: Our): Comparison[] {
  const latency = "connect and 1 octet to and fro, p50";
  const rate = (what: string, key: string) => [
    line(ours, `connections ${what}`, "1/s", key, "terminating", { atLeast: 6 }),
    line(ours, `connections ${what}`, "1/s", key, "plain", { atLeast: 1.2 }),
  ];
  return [
    line(ours, latency, "ms", "exchange", "terminating"),
    line(ours, latency, "ms", "exchange", "plain"),
    line(ours, latency, "ms", "exchange", "direct"),
    line(ours, `${latency}, no link yet`, "ms", "cold", "terminating"),
    ...rate("one after the other", "connections 1"),
    ...rate("16 at once", "connections 16"),
  ];
}

function roundTrips(ours: Our): Comparison[] {
  const trip = (what: string, key: string, reference: Reference, limits?: Limits) =>
    line(ours, `1 octet to and fro, ${what}`, "ms", key, reference, limits);
  return [
    trip("p50", "idle p50", "plain", { atMost: 1.3 }),
    trip("p50", "idle p50", "terminating"),
    trip("p50", "idle p50", "direct"),
    ...DIRECTIONS.flatMap((way) => [
      trip(`beside bulk ${way}, p50`, `beside ${way} p50`, "terminating", { atMost: 0.5 }),
      trip(`beside bulk ${way}, p99`, `beside ${way} p99`, "terminating"),
      trip(`beside bulk ${way}, p50`, `beside ${way} p50`, "plain"),
    ]),
    {
      ...{ case: `${OURS[ours]}: 500 chatty streams beside bulk down, p99`, unit: "ms", ours: `${ours} crowd beside` },
      ...{ reference: { name: "the same alone", key: `${ours} crowd alone` }, atMost: 5 },
    },
  ];
}

function memory(ours: Our): Comparison[] {
  return ROLES.flatMap((role) => [
    {
      ...{ case: `${OURS[ours]}: resident memory per idle stream, ${role}`, unit: "KiB", ours: `${ours} ${role} rss` },
      ...{ reference: { name: "what is allowed", key: `${role} allowed` }, atMost: 1 },
    },
    { case: `${OURS[ours]}: heap per idle stream, ${role}`, unit: "KiB", ours: `${ours} ${role} heap` },
  ]);
}
