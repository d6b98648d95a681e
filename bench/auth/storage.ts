import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../src/base/mod.ts";
import { openSqlite } from "../../src/storage/mod.ts";

const KEYS = 64;
const VALUE = new Uint8Array(600).fill(7); // a middling resource

/** Conditional writes through the storage interface, so many at once; each second's worth. */
export async function conditionalWrites(dir: string, o: { writes: number; inFlight: number }): Promise<number> {
  await using backend = openSqlite(join(dir, `interface-${randomUUID()}.db`), { clock: systemClock });
  const revisions = await Promise.all(Array.from({ length: KEYS }, (_, i) => backend.create(`/k/${i}`, VALUE)));
  let next = 0;
  const began = performance.now();
  const worker = async (own: number) => {
    for (; next < o.writes; next++) {
      revisions[own] = await backend.update(`/k/${own}`, VALUE, revisions[own]!);
    }
  };
  await Promise.all(Array.from({ length: o.inFlight }, (_, i) => worker(i)));
  return (o.writes / (performance.now() - began)) * 1000;
}

/** The same in bare transactions, one write each: same file system, journal and synchronous mode. */
export function bareTransactions(dir: string, writes: number): number {
  const db = new DatabaseSync(join(dir, `bare-${randomUUID()}.db`));
  db.exec("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
  db.exec("CREATE TABLE items (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision TEXT NOT NULL) WITHOUT ROWID");
  const insert = db.prepare("INSERT INTO items VALUES (?, ?, ?)");
  const update = db.prepare("UPDATE items SET value = ?, revision = ? WHERE key = ? AND revision = ?");
  const revisions = Array.from({ length: KEYS }, () => randomUUID() as string);
  for (const [i, revision] of revisions.entries()) insert.run(`/k/${i}`, VALUE, revision);
  const began = performance.now();
  for (let write = 0; write < writes; write++) {
    const own = write % KEYS;
    const revision = randomUUID();
    db.exec("BEGIN IMMEDIATE");
    if (update.run(VALUE, revision, `/k/${own}`, revisions[own]!).changes !== 1) throw new Error("a lost update");
    db.exec("COMMIT");
    revisions[own] = revision;
  }
  const perSecond = (writes / (performance.now() - began)) * 1000;
  db.close();
  return perSecond;
}
