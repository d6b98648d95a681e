import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { Client } from "pg";
import { needs } from "./needs.ts";
import { startPglite } from "./pglite.ts";
import { run, runOk } from "./process.ts";
import { startPostgres, startRedis, startSshd } from "./servers.ts";

test("a real PostgreSQL answers psql, as any user", needs("postgres", "psql", "setpriv"), async () => {
  await using server = await startPostgres();
  const url = `postgres://postgres@127.0.0.1:${server.port}/postgres`;
  assert.equal(await runOk(["psql", url, "-Atc", "select 6 * 7"]), "42\n");
  await server[Symbol.asyncDispose]();
  assert.notEqual((await run(["psql", url, "-c", "select 1"])).code, 0);
});

test("PGlite answers where PostgreSQL is missing", async () => {
  await using server = await startPglite();
  const client = new Client({ host: server.address, port: server.port, user: "postgres", database: "postgres" });
  await client.connect();
  assert.deepEqual((await client.query("select 6 * 7 as answer")).rows, [{ answer: 42 }]);
  await client.end();
});

test("Redis answers redis-cli", needs("redis", "redis-cli", "setpriv"), async () => {
  await using server = await startRedis();
  assert.equal(await runOk(["redis-cli", "-p", String(server.port), "ping"]), "PONG\n");
});

test("OpenSSH lets its key in", needs("sshd", "ssh", "setpriv"), async () => {
  await using server = await startSshd();
  const directory = mkdtempSync(join(tmpdir(), "vnet-ssh-client-"));
  try {
    const key = join(directory, "key");
    writeFileSync(key, server.privateKey);
    chmodSync(key, 0o600);
    writeFileSync(join(directory, "known_hosts"), `[127.0.0.1]:${server.port} ${server.hostKey}\n`);
    const options = ["-F", "none", "-i", key, "-o", `UserKnownHostsFile=${directory}/known_hosts`, "-p"];
    assert.equal(await runOk(["ssh", ...options, String(server.port), "127.0.0.1", "echo", "in"]), "in\n");
  } finally {
    rmSync(directory, { recursive: true });
  }
});
