/**
 * In a network namespace of its own: nmap's scans of the stack's addresses, and
 * afterwards a transfer that must be right. One line of JSON.
 */
import { execFile } from "node:child_process";
import { createConnection } from "node:net";
import { promisify } from "node:util";
import { type BulkResult, bulkSocket, bulkStream } from "./bulk-side.ts";
import { kernelRig } from "./kernel-rig.ts";

const OCTETS = 4 * 1024 * 1024;
const SCAN = [
  "-Pn",
  "-n",
  "--send-ip",
  "-sS",
  "-sU",
  "-O",
  "-p",
  "T:1-300,U:1-60",
  "--max-retries",
  "0",
  "--host-timeout",
  "60s",
];

export interface ScanResult {
  scans: { command: string; lines: string[] }[];
  transferRight: boolean;
  connectionsLeft: number;
  counters: Record<string, number>;
}

let ours: Promise<BulkResult> | undefined;
const rig = kernelRig({
  handlers: {
    tcp: (attempt) => {
      if (attempt.local.port === 80) ours = bulkStream(attempt.accept(), OCTETS, 1024 * 1024);
      else attempt.refuse();
    },
    udp: (datagram) => datagram.local.port === 53,
    echo: () => true,
  },
});
const scans: ScanResult["scans"] = [];
for (const [address, family] of [
  [rig.far4, []],
  [rig.far6, ["-6"]],
] as const) {
  const command = [...family, ...SCAN, address];
  const { stdout } = await promisify(execFile)("nmap", command, { timeout: 120_000 });
  const lines = stdout.split("\n").filter((line) => /open|closed|scanned|Not shown/.test(line));
  scans.push({ command: ["nmap", ...command].join(" "), lines });
}
ours = undefined;
const theirs = await bulkSocket(createConnection({ host: rig.far4, port: 80, allowHalfOpen: true }), OCTETS);
const our = await ours!;
const transferRight = our.received === theirs.sent && theirs.received === our.sent && our.receivedLen === OCTETS;
const result: ScanResult = {
  scans,
  transferRight,
  connectionsLeft: rig.stack.connections,
  counters: rig.counters.snapshot(),
};
console.log(JSON.stringify(result));
process.exit(0);
