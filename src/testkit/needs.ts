/**
 * What a test needs from its machine, said where the test is declared:
 *
 *     test("psql through VNet", needs("root", "psql"), async () => …);
 *
 * Where something is missing the test is skipped, with the reason and the
 * Debian package that brings it. In CI nothing may be skipped: with
 * `REQUIRE_ALL=1` such a test fails without being run, and with
 * `REQUIRE_ALL_BUT_ROOT=1` too, unless root is what it lacks.
 */
import { spawnSync } from "node:child_process";
import { accessSync, closeSync, constants, openSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { TestOptions } from "node:test";
import { LAYERS, type Layer, lackingLayer } from "./layers.ts";

/** Programs looked for in PATH, and the Debian package that holds each. */
const PROGRAMS = {
  psql: "postgresql-client",
  pgbench: "postgresql-contrib",
  redis: "redis-server",
  "redis-cli": "redis-tools",
  ssh: "openssh-client",
  sshd: "openssh-server",
  nc: "netcat-openbsd",
  curl: "curl",
  dig: "bind9-dnsutils",
  "dbus-daemon": "dbus",
  dnsperf: "dnsperf",
  openssl: "openssl",
  ip: "iproute2",
  nsenter: "util-linux",
  unshare: "util-linux",
  setpriv: "util-linux",
  jq: "jq",
  sudo: "sudo",
  script: "bsdutils",
  fish: "fish",
  zsh: "zsh",
  chromium: "chromium",
  tcpdump: "tcpdump",
  nmap: "nmap",
  scapy: "python3-scapy",
  strace: "strace",
} as const;

/** Where the file's name differs from the need's. */
const PROGRAM_FILES: Partial<Record<Program, string>> = { redis: "redis-server" };

type Program = keyof typeof PROGRAMS;
export type Need = Program | Layer | "root" | "tun" | "userns" | "postgres";

/** Options for `test` or `describe`: run, skip, or fail at once when skipping is forbidden. */
export function needs(...names: Need[]): TestOptions {
  const missing = names.flatMap((name) => {
    const reason = lacking(name);
    return reason === undefined ? [] : [{ name, reason }];
  });
  if (missing.length === 0) return {};
  const reason = `needs ${missing.map((m) => `${m.name} (${m.reason})`).join(", ")}`;
  // An aborted signal makes node:test report a failure without running the body.
  if (!maySkip(missing.map((m) => m.name))) return { signal: AbortSignal.abort(new Error(reason)) };
  return { skip: reason };
}

/** Why this machine lacks `need`, or undefined when it is there. */
export function lacking(need: Need): string | undefined {
  if (!known.has(need)) known.set(need, probe(need));
  return known.get(need);
}

/** The file of a program that `needs` has found; also where root's PATH would have it. */
export function programPath(file: string): string | undefined {
  return searchPath()
    .map((dir) => join(dir, file))
    .find(isExecutable);
}

/** PostgreSQL's own programs, which Debian keeps out of PATH; the newest version. */
export function postgresBinDir(): string | undefined {
  const base = "/usr/lib/postgresql";
  const debian = listing(base)
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(base, version, "bin"));
  return [...debian, ...searchPath()].find((dir) => ["postgres", "initdb"].every((f) => isExecutable(join(dir, f))));
}

// Probed once per process: a test file asks for the same things many times.
const known = new Map<Need, string | undefined>();

function maySkip(missing: Need[]): boolean {
  if (process.env.REQUIRE_ALL === "1") return false;
  return process.env.REQUIRE_ALL_BUT_ROOT !== "1" || missing.includes("root");
}

function probe(need: Need): string | undefined {
  switch (need) {
    case "root":
      return process.getuid?.() === 0 ? undefined : "run as root";
    case "tun":
      return opens("/dev/net/tun") ? undefined : "/dev/net/tun cannot be opened";
    case "userns":
      return runs("unshare", "-Urn", "true") ? undefined : "unshare -Urn fails: user namespaces are off";
    case "postgres":
      return postgresBinDir() === undefined ? install("postgresql") : undefined;
    default:
      if (isLayer(need)) return lackingLayer(need);
      return programPath(PROGRAM_FILES[need] ?? need) === undefined ? install(PROGRAMS[need]) : undefined;
  }
}

function isLayer(need: Need): need is Layer {
  return (LAYERS as readonly string[]).includes(need);
}

function install(debianPackage: string): string {
  return `apt-get install ${debianPackage}`;
}

function searchPath(): string[] {
  const path = (process.env.PATH ?? "").split(":").filter((dir) => dir !== "");
  return [...path, "/usr/local/sbin", "/usr/sbin", "/sbin"];
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function opens(file: string): boolean {
  try {
    closeSync(openSync(file, "r+"));
    return true;
  } catch {
    return false;
  }
}

function runs(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore", timeout: 5_000 }).status === 0;
}

function listing(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
