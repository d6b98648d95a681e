/**
 * `npm run proof -- copies [MINUTES] [SEED]`: `psql` copies a table out and into
 * PostgreSQL through VNet, both at once and again and again, while proxies are
 * killed and the laptop's network fails every second or so. No copy that
 * has begun may fail, and every octet's hash must be right. Needs root.
 */
import { seededRandom, sleep } from "../../src/base/mod.ts";
import { FaultCluster } from "../e2e/fault-cluster.ts";
import { circumstances } from "./circumstances.ts";

const minutes = Number(process.argv[2] ?? 10);
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31);
const ROWS = 3_000_000;
const DB = "postgres://postgres@db.teleport.example.com/postgres";
const TABLE = `select i, md5(i::text) h from generate_series(1, ${ROWS}) i`;
/** While there is no way at all, a new connection is refused within 5 s. */
const NOT_CONNECTED = /^psql: error: connection to server at .* failed: Connection refused/;
/** Longer than the worst fault, many times over. */
const COPY_TIMEOUT_MS = 300_000;
const PAUSE_MS = 700;

const FAULTS: Record<string, () => Promise<void>> = {
  "proxy one killed": () => restart("proxy-one"),
  "proxy two killed": () => restart("proxy-two"),
  async "both proxies killed"() {
    await Promise.all([restart("proxy-one"), restart("proxy-two")]);
  },
  async "interface down for 1.5 s"() {
    await cluster.ip("link set eth0 down");
    await sleep(1_500);
    await cluster.ip("link set eth0 up", "route replace default via 198.51.100.1");
  },
  "3 s of 20 Mbit/s with a short queue": () => shaped("rate 20mbit burst 16k latency 20ms", 3_000),
  "9 s of silence": () => shaped("rate 8bit burst 1 latency 1ms", 9_000),
};

await using cluster = await FaultCluster.start();
const random = seededRandom(seed);
const faults = new Map<string, number>();
let refused = 0;
console.log(circumstances(seed));
await psql("create table copied(i int, h text)");
await sh(`psql ${DB} -qAt -c "copy (${TABLE} order by i) to stdout" > /tmp/table`);
const hash = await sh("sha256sum < /tmp/table");
const octets = Number(await sh("wc -c < /tmp/table"));
const expected = await psql(`select md5(string_agg(i || h, '' order by i)) from (${TABLE}) t`);
const until = performance.now() + minutes * 60_000;
const [copies] = await Promise.all([copyOn(), failOn()]);
const told = [...faults].map(([what, count]) => `${what} ${count}`).join(", ");
console.log(
  `- ${copies.length} times ${(octets / 2 ** 20).toFixed(0)} MiB out and in at once, every hash equal; no connection was lost`,
);
console.log(`- faults: ${told}; new connections refused meanwhile, and made again: ${refused}`);
console.log(
  `- a round took ${(Math.min(...copies) / 1000).toFixed(1)} to ${(Math.max(...copies) / 1000).toFixed(1)} s`,
);
process.exit();

/** How long each round took, ms. */
async function copyOn(): Promise<number[]> {
  const rounds: number[] = [];
  while (performance.now() < until) {
    const started = performance.now();
    const [out] = await Promise.all([
      sh(`psql ${DB} -qAt -c "copy (${TABLE} order by i) to stdout" | sha256sum`),
      sh(`psql ${DB} -q -c "truncate copied" -c "copy copied from stdin" < /tmp/table`),
    ]);
    if (out !== hash) throw new Error(`copied out: ${out} instead of ${hash}`);
    rounds.push(performance.now() - started);
    const found = await psql("select md5(string_agg(i || h, '' order by i)) from copied");
    if (found !== expected) throw new Error(`copied in: ${found} instead of ${expected}`);
  }
  return rounds;
}

async function failOn(): Promise<void> {
  const kinds = Object.entries(FAULTS);
  while (performance.now() < until) {
    await sleep(PAUSE_MS);
    const [name, inflict] = kinds[random(1)[0]! % kinds.length]!;
    await inflict();
    faults.set(name, (faults.get(name) ?? 0) + 1);
  }
}

async function restart(part: "proxy-one" | "proxy-two"): Promise<void> {
  await cluster.kill(part);
  await sleep(300);
  await cluster.startPart(part);
}

async function shaped(queue: string, ms: number): Promise<void> {
  await cluster.laptop.execOk(`tc qdisc replace dev eth0 root tbf ${queue}`.split(" "));
  await sleep(ms);
  await cluster.laptop.execOk("tc qdisc del dev eth0 root".split(" "));
}

function psql(statement: string): Promise<string> {
  return sh(`psql ${DB} -qAt -c "${statement}"`);
}

/** On the laptop; what it said. A pipe fails with any of its parts. A connection that could not be made is made later. */
async function sh(script: string): Promise<string> {
  for (;;) {
    const command = ["bash", "-o", "pipefail", "-c", script];
    const result = await cluster.laptop.exec(command, { timeoutMs: COPY_TIMEOUT_MS });
    if (result.code === 0) return result.stdout.trim();
    if (!NOT_CONNECTED.test(result.stderr)) throw new Error(`${script}: ${result.code}\n${result.stderr}`);
    refused++;
    await sleep(PAUSE_MS);
  }
}
