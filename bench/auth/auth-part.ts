/** An Auth Service in a process of its own: `auth-part.ts DIR`. Messages: `heap`, `restart`, `stop`. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openAuditLog } from "../../src/audit/mod.ts";
import { ADMIN_FILE, startAuth } from "../../src/auth/mod.ts";
import { Lifetime, silentLogger, systemClock } from "../../src/base/mod.ts";
import { openSqlite } from "../../src/storage/mod.ts";

/** What the process tells: once when it serves, and after each message. */
export interface AuthFigures {
  readonly adminFile: string;
  /** From opening the storage to serving. */
  readonly startMs: number;
  /** After a forced collection. */
  readonly heapMib: number;
}

const dir = process.argv[2]!;
let life = new Lifetime();

async function start(): Promise<AuthFigures> {
  const began = performance.now();
  mkdirSync(join(dir, "backend"), { recursive: true });
  life = new Lifetime();
  const backend = life.use(openSqlite(join(dir, "backend", "sqlite.db"), { clock: systemClock }));
  const audit = life.use(await openAuditLog({ dir: join(dir, "log"), clock: systemClock }));
  life.use(
    await startAuth({
      config: { clusterName: "bench.test", listenAddr: "127.0.0.1:0", secondFactors: [] },
      dataDir: dir,
      backend,
      audit,
      clock: systemClock,
      log: silentLogger,
    }),
  );
  return { adminFile: join(dir, ADMIN_FILE), startMs: performance.now() - began, heapMib: heapMib() };
}

function heapMib(): number {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

let figures = await start();
process.send?.(figures);
process.on("message", async (message: "heap" | "restart") => {
  if (message === "restart") {
    await life.close();
    figures = await start();
  }
  process.send?.({ ...figures, heapMib: heapMib() });
});
process.on("disconnect", () => void life.close().then(() => process.exit()));
