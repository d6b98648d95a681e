import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { clientPrograms } from "./client-programs.ts";

test("the kernel's own tables name this process for its connections, over both kinds of socket", async (t) => {
  const server = createServer().listen(0, "::");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  for (const host of ["127.0.0.1", "::1"]) {
    const socket = connect(port, host);
    await once(socket, "connect");
    t.after(() => socket.destroy());
    const end = host === "::1" ? `[::1]:${socket.localPort}` : `127.0.0.1:${socket.localPort}`;
    const program = clientPrograms(new Set([end, "192.0.2.1:1"])).get(end);
    assert.deepEqual(program, { pid: process.pid, name: basename(process.execPath) });
  }
});

test("an IPv4 end of an IPv6 socket, a foreign process, a table with rubbish", (t) => {
  const proc = mkdtempSync(join(tmpdir(), "proc-"));
  t.after(() => rmSync(proc, { recursive: true }));
  for (const pid of ["7", "8"]) mkdirSync(join(proc, pid, "fd"), { recursive: true });
  mkdirSync(join(proc, "7/net"));
  const line = (local: string, inode: string) => `   0: ${local} 0900006440:1538 01 0:0 00:0 0 1000 0 ${inode} 1\n`;
  const v6 = "000080FE00000000FF005450B6AF0402";
  writeFileSync(join(proc, "7/net/tcp"), `head\n${line("01004064:9C40", "55")}rubbish\n${line("xx:1", "9")}`);
  writeFileSync(
    join(proc, "7/net/tcp6"),
    `head\n${line("0000000000000000FFFF000001004064:9C41", "56")}${line(`${v6}:0050`, "0")}`,
  );
  symlinkSync("socket:[55]", join(proc, "8/fd/3"));
  symlinkSync("socket:[56]", join(proc, "8/fd/4"));
  symlinkSync("/dev/null", join(proc, "8/fd/0"));
  writeFileSync(join(proc, "8/comm"), "psql\n");
  const ends = new Set(["100.64.0.1:40000", "100.64.0.1:40001", "100.64.0.1:40002"]);
  assert.deepEqual(
    [...clientPrograms(ends, { netOf: 7, proc })],
    [
      ["100.64.0.1:40000", { pid: 8, name: "psql" }],
      ["100.64.0.1:40001", { pid: 8, name: "psql" }],
    ],
  );
  assert.equal(clientPrograms(ends, { netOf: 99, proc }).size, 0);
});
