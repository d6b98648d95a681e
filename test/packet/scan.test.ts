/** nmap and scapy against the stack in a network namespace of its own; `npm run proof -- hostile` is the long form. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { needs } from "../../src/testkit/mod.ts";
import type { ScanResult } from "./scan-run.ts";

const SEED = process.env.SEED ?? String(Math.floor(Math.random() * 2 ** 31));
const RUN = fileURLToPath(new URL("./scan-run.ts", import.meta.url));

test("nmap -sS -sU -O and 3,000 packets of scapy's do no harm", needs("tun", "userns", "ip", "nmap", "scapy"), (t) => {
  t.diagnostic(`SEED=${SEED}`);
  const args = [
    "-rn",
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    RUN,
    "1-50,80",
    "50-60",
    "3000",
    SEED,
  ];
  const run = spawnSync("unshare", args, { encoding: "utf8", timeout: 120_000 });
  assert.equal(run.status, 0, `${run.signal ?? ""}\n${run.stdout}\n${run.stderr}`);
  const { tools, goesOn, transferRight, connectionsLeft, counters } = JSON.parse(run.stdout) as ScanResult;
  for (const { command, lines } of tools) t.diagnostic(`${command}\n  ${lines.join("\n  ")}`);
  assert.equal(tools.length, 3);
  for (const { lines } of tools.slice(0, 2)) {
    assert.ok(
      lines.some((line) => /^80\/tcp +open/.test(line)),
      "an open port is found",
    );
    assert.ok(
      lines.some((line) => /50 closed tcp ports \(reset\)/.test(line)),
      "the others are refused",
    );
  }
  assert.match(tools[2]!.lines.join(), /3\d\d\d sent/);
  assert.deepEqual(
    { goesOn, transferRight, connectionsLeft },
    { goesOn: true, transferRight: true, connectionsLeft: 0 },
  );
  // Each way of being wrong was met.
  for (const name of ["ip.fragment-refused", "icmp.error-ignored", "ip.version", "icmp.port-unreachable"]) {
    assert.ok((counters[name] ?? 0) > 0, name);
  }
});
