/**
 * PostgreSQL without an installation: PGlite (PostgreSQL compiled to
 * WebAssembly, in this process) behind a socket. Knows one session at a time
 * and not the client's address: for demonstrations, never as an oracle.
 */
import { freePort } from "./servers.ts";

export async function startPglite(): Promise<{ address: string; port: number } & AsyncDisposable> {
  // Loaded late: it is large, and most tests that import the testkit never call this.
  const { PGlite } = await import("@electric-sql/pglite");
  const { PGLiteSocketServer } = await import("@electric-sql/pglite-socket");
  const port = await freePort();
  const db = await PGlite.create();
  const server = new PGLiteSocketServer({ db, host: "127.0.0.1", port });
  await server.start();
  return {
    address: "127.0.0.1",
    port,
    async [Symbol.asyncDispose]() {
      await server.stop();
      await db.close();
    },
  };
}
