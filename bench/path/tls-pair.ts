import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { programPath } from "../../src/testkit/mod.ts";
import { issueCredentials } from "./credentials.ts";
import type { Path } from "./paths.ts";

type Side = "client" | "server";

/** Two of haproxy or stunnel, TLS between them, where one is installed. */
export async function startTlsPair(here: string[], targetPort: number): Promise<Path | undefined> {
  const name = (["haproxy", "stunnel"] as const).find((program) => programPath(program) !== undefined);
  if (name === undefined) {
    console.error("link: neither haproxy nor stunnel is installed: left out");
    return undefined;
  }
  const [nearPort, farPort] = [5401, 5402]; // in a namespace of our own
  const dir = mkdtempSync(join(tmpdir(), "bench-tls-pair-"));
  const { agent } = await issueCredentials(0);
  const pem = join(dir, "pem");
  writeFileSync(pem, `${agent.certPem}\n${agent.keyPem}`);
  const run = (role: Side, from: number, to: number) => {
    const file = join(dir, role);
    writeFileSync(file, `${CONFIGURATIONS[name](role, from, to, pem).trim()}\n`);
    const command = [...here, name, ...(name === "haproxy" ? ["-q", "-db", "-f", file] : [file])];
    return spawn(command[0]!, command.slice(1), { stdio: ["ignore", "ignore", "inherit"] });
  };
  const server = run("server", farPort, targetPort);
  const client = run("client", nearPort, farPort);
  await wait(1_000);
  const entry = { host: "127.0.0.1", port: nearPort };
  const stop = () => {
    client.kill();
    server.kill();
    rmSync(dir, { recursive: true });
  };
  return { name, entries: [entry], cold: entry, cpu: {}, parts: {}, stop };
}

const CONFIGURATIONS = {
  haproxy: (role: Side, from: number, to: number, pem: string) => `
    defaults
      mode tcp
      timeout connect 5s
      timeout client 1h
      timeout server 1h
    listen pair
      bind 127.0.0.1:${from} ${role === "server" ? `ssl crt ${pem} ssl-min-ver TLSv1.3` : ""}
      server next 127.0.0.1:${to} ${role === "client" ? "ssl verify none" : ""}
  `,
  stunnel: (role: Side, from: number, to: number, pem: string) => `
    foreground = yes
    pid =
    debug = crit
    [pair]
    ${role === "client" ? "client = yes" : `cert = ${pem}`}
    sslVersion = TLSv1.3
    accept = 127.0.0.1:${from}
    connect = 127.0.0.1:${to}
  `,
};
