/**
 * In a network namespace of its own: `scan-run.ts TCP-PORTS UDP-PORTS PACKETS
 * SEED`. nmap scans the stack's addresses and scapy sends them its packets,
 * while a connection that was there before goes on; afterwards a transfer must
 * be right. What is not installed is left out. One line of JSON.
 */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createConnection } from "node:net";
import { basename } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { ByteStream } from "../../src/base/mod.ts";
import { lacking } from "../../src/testkit/mod.ts";
import { type BulkResult, bulkSocket, bulkStream } from "./bulk-side.ts";
import { kernelRig } from "./kernel-rig.ts";

const OCTETS = 4 * 1024 * 1024;
const BULK = 80;
const ECHO = 443;
const SCAPY_FRAMES = fileURLToPath(new URL("./scapy-frames.py", import.meta.url));
/** What Debian's package is for, whichever other Python comes first in PATH. */
const PYTHON = "/usr/bin/python3";
/** Given up by the stack's timers at the latest after this. */
const SETTLED_MS = 5_000;

export interface ScanResult {
  /** What was run, and what it said. */
  tools: { command: string; lines: string[] }[];
  /** The connection from before answered to the end. */
  goesOn: boolean;
  transferRight: boolean;
  connectionsLeft: number;
  counters: Record<string, number>;
}

const [tcpPorts, udpPorts, packets, seed] = process.argv.slice(2) as [string, string, string, string];
let ours: Promise<BulkResult> | undefined;
const rig = kernelRig({
  handlers: {
    tcp: (attempt) => {
      if (attempt.local.port === BULK) ours = bulkStream(attempt.accept(), OCTETS, 1024 * 1024);
      else if (attempt.local.port === ECHO) echo(attempt.accept());
      else attempt.refuse();
    },
    udp: (datagram) => datagram.local.port === 53,
    echo: () => true,
  },
});
const tools: ScanResult["tools"] = [];
const before = createConnection({ host: rig.far4, port: ECHO });
await once(before, "connect");
let goesOn = await answers("before");
if (lacking("nmap") === undefined) {
  await Promise.all([scan(rig.far4), scan(rig.far6, "-6")]);
}
if (lacking("scapy") === undefined) {
  const { device, near4, far4, near6, far6 } = rig;
  await use(PYTHON, [SCAPY_FRAMES, device, near4, far4, near6, far6, packets, seed]);
}
goesOn &&= await answers("after");
before.end();
await once(before, "close");
ours = undefined;
const theirs = await bulkSocket(createConnection({ host: rig.far4, port: BULK, allowHalfOpen: true }), OCTETS);
const our = await ours!;
for (let left = SETTLED_MS; left > 0 && rig.stack.connections > 0; left -= 100) await wait(100);
const result: ScanResult = {
  tools,
  goesOn,
  transferRight: our.received === theirs.sent && theirs.received === our.sent && our.receivedLen === OCTETS,
  connectionsLeft: rig.stack.connections,
  counters: rig.counters.snapshot(),
};
console.log(JSON.stringify(result));
process.exit(0);

async function scan(address: string, ...family: string[]): Promise<void> {
  const ports = `T:${tcpPorts},U:${udpPorts}`;
  const limits = ["--max-retries", "0", "--host-timeout", "60s"];
  await use("nmap", [...family, "-Pn", "-n", "--send-ip", "-sS", "-sU", "-O", "-p", ports, ...limits, address]);
}

async function use(program: string, args: string[]): Promise<void> {
  const { stdout } = await promisify(execFile)(program, args, { timeout: 300_000 });
  const lines = stdout.split("\n").filter((line) => /open|closed|scanned|Not shown|sent/.test(line));
  const words = args.map((word) => (word === SCAPY_FRAMES ? basename(word) : word));
  tools.push({ command: [program, ...words].join(" "), lines });
}

/** The connection from before the attack brings back what is written to it. */
async function answers(text: string): Promise<boolean> {
  before.write(text);
  const [answer] = (await Promise.race([once(before, "data"), once(before, "close")])) as unknown[];
  return String(answer) === text;
}

function echo(stream: ByteStream): void {
  stream.open({
    data: (chunk) => {
      stream.credit(chunk.bytes.length);
      stream.write(chunk);
    },
    end: () => stream.end(),
    reset() {},
    writable() {},
  });
  stream.credit(64 * 1024);
}
