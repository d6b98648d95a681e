/**
 * What Auth costs as a cluster grows from 100 to 10,000 apps and users, what it does in a second, and what its storage
 * interface adds to SQLite. Auth is a process of its own, on SQLite with `synchronous=FULL`, over loopback and TLS.
 *
 * `--rounds=N`; `--markdown` prints the table of docs/performance.md.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCsr, generateKeyPair } from "../src/pki/mod.ts";
import type { AuthFigures } from "./auth/auth-part.ts";
import { fanOut } from "./auth/fan-out.ts";
import { coldResolutions } from "./auth/names.ts";
import { appName, inParallel, Population } from "./auth/population.ts";
import { bareTransactions, conditionalWrites } from "./auth/storage.ts";
import { Part } from "./tun/processes.ts";
import { median, print, Samples } from "./tun/samples.ts";

const ROUNDS = option("rounds", 3);
const WARM_STARTS = 5;
const SMALL = 100;
const LARGE = option("large", 10_000);
const WATCHERS = 200;
const LOGINS = 10;
const SESSIONS = 200;

const samples = new Samples();
const dir = mkdtempSync(join(tmpdir(), "bench-auth-"));
try {
  await growth();
  await storage();
} finally {
  rmSync(dir, { recursive: true, force: true });
}
report();

/** One cluster that grows; each size is measured before the next. */
async function growth(): Promise<void> {
  const [part, first] = await Part.start<AuthFigures>([], "../auth/auth-part.ts", join(dir, "data"));
  let population = new Population(first.adminFile);
  await population.createUsers();
  for (const size of [0, SMALL, LARGE]) {
    await population.grow(size);
    await population.close();
    // Without what the requests that made them left behind; compiled after the first few.
    for (let round = -WARM_STARTS; round < ROUNDS; round++) {
      const { startMs, heapMib } = await part.ask<AuthFigures>("restart");
      if (round < 0) continue;
      samples.add(`start ${size}`, startMs);
      samples.add(`heap ${size}`, heapMib);
    }
    population = new Population(first.adminFile, size);
    if (size > 0) await costs(part, population, size);
  }
  await throughput(population);
  await population.close();
  part.stop();
}

/** One request after the other: how long each takes, and what Auth computes for it, which other work hardly changes. */
async function costs(part: Part, population: Population, size: number): Promise<void> {
  await using anonymous = population.client();
  await using user = await population.userClient();
  const csr = await createCsr(await generateKeyPair());
  for (let round = 0; round <= ROUNDS; round++) {
    const cpu = [part.cpu()];
    const logins = await times(LOGINS, () => population.login(anonymous, csr));
    cpu.push(part.cpu());
    const sessions = await times(SESSIONS, (i) => openSession(user, appName((i * 37) % size), csr));
    cpu.push(part.cpu());
    await user.call("app_session.end", {});
    const names = await coldResolutions(size, 60);
    if (round === 0) continue; // compiled by now
    samples.add(`login ${size}`, median(logins));
    samples.add(`session ${size}`, median(sessions));
    samples.add(`name ${size}`, median(names));
    samples.add(`login cpu ${size}`, ((cpu[1]! - cpu[0]!) / LOGINS) * 1000);
    samples.add(`session cpu ${size}`, ((cpu[2]! - cpu[1]!) / SESSIONS) * 1000);
  }
}

/** Many at once, in the large cluster. */
async function throughput(population: Population): Promise<void> {
  await using anonymous = population.client();
  await using user = await population.userClient();
  const csr = await createCsr(await generateKeyPair());
  for (let round = 0; round <= ROUNDS; round++) {
    const logins = await perSecond(24, (i) => population.login(anonymous, csr, i));
    const sessions = await perSecond(400, (i) => openSession(user, appName((i * 37) % LARGE), csr));
    await user.call("app_session.end", {});
    const { lastMs, perSecond: changes } = await fanOut(() => population.adminClient(), population.admin, {
      watchers: WATCHERS,
      changes: 40,
    });
    if (round === 0) continue;
    samples.add("logins", logins);
    samples.add("sessions", sessions);
    samples.add("fan-out", median(lastMs));
    samples.add("fan-out rate", changes);
  }
}

async function storage(): Promise<void> {
  for (let round = 0; round <= ROUNDS; round++) {
    const bare = bareTransactions(dir, 1000);
    const single = await conditionalWrites(dir, { writes: 1000, inFlight: 1 });
    const many = await conditionalWrites(dir, { writes: 4000, inFlight: 64 });
    if (round === 0) continue;
    samples.add("bare", bare);
    samples.add("writes 1", single);
    samples.add("writes 64", many);
  }
}

function openSession(user: Awaited<ReturnType<Population["userClient"]>>, app: string, csr: string) {
  return user.call("app_session.create", { app, csr });
}

async function times(count: number, run: (i: number) => Promise<unknown>): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    await run(i);
    found.push(performance.now() - began);
  }
  return found;
}

async function perSecond(count: number, run: (i: number) => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await inParallel(
    Array.from({ length: count }, (_, i) => i),
    run,
  );
  return (count / (performance.now() - began)) * 1000;
}

function report(): void {
  const grown = (name: string, key: string) => ({
    case: `${name}, ${LARGE.toLocaleString("en-US")} apps and users`,
    unit: "ms",
    ours: `${key} ${LARGE}`,
    reference: { name: `with ${SMALL}`, key: `${key} ${SMALL}` },
    atMost: 1.5,
  });
  const each = (name: string, unit: string, key: string) => {
    const at = (size: number) => samples.get(`${key} ${size}`);
    const none = median(at(0));
    const few = median(at(SMALL)) - none;
    samples.add(`${key} growth`, median(at(LARGE)) - none);
    // Where the few cost less than can be measured there is nothing to compare with.
    if (few > 0) samples.add(`${key} wanted`, (LARGE / SMALL) * few);
    const reference = { name: `${LARGE / SMALL} × that of ${SMALL}`, key: `${key} wanted` };
    return [
      { case: `${name}, empty`, unit, ours: `${key} 0` },
      { case: `${name}, ${SMALL}`, unit, ours: `${key} ${SMALL}` },
      { case: `${name}, ${LARGE.toLocaleString("en-US")}`, unit, ours: `${key} ${LARGE}` },
      {
        case: `${name}: what ${LARGE.toLocaleString("en-US")} add`,
        unit,
        ours: `${key} growth`,
        ...(few > 0 && { reference, atMost: 1.2 }),
      },
    ];
  };
  const bare = { name: "bare transactions of node:sqlite", key: "bare" };
  print(
    samples,
    [
      grown("cold name resolution in VNet", "name"),
      grown("login", "login"),
      grown("login: CPU of Auth", "login cpu"),
      grown("app session", "session"),
      grown("app session: CPU of Auth", "session cpu"),
      ...each("heap of Auth", "MiB", "heap"),
      ...each("start-up of Auth", "ms", "start"),
      { case: "logins", unit: "1/s", ours: "logins" },
      { case: "app sessions", unit: "1/s", ours: "sessions" },
      { case: "conditional writes, one after the other", unit: "1/s", ours: "writes 1", reference: bare, atLeast: 0.5 },
      { case: "conditional writes, 64 at once", unit: "1/s", ours: "writes 64", reference: bare, atLeast: 0.5 },
      { case: `a change reaches the last of ${WATCHERS} watchers`, unit: "ms", ours: "fan-out" },
      { case: `changes that reach all ${WATCHERS} watchers`, unit: "1/s", ours: "fan-out rate" },
    ],
    "auth",
  );
}

function option(name: string, fallback: number): number {
  const value = process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
  return value === undefined ? fallback : Number(value);
}
