/** The proxy's one port under what no client says: random, short, slow, endless and oversized beginnings. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import test, { type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { sleep } from "../../src/base/mod.ts";
import { needs } from "../../src/testkit/mod.ts";
import { tunnelLimits } from "../../src/tunnel/mod.ts";
import { connectionsTo, newsOf } from "./connections.ts";
import { EXEC_NEEDS, LoopbackCluster } from "./loopback-cluster.ts";

const WAVES = 3;
const PER_WAVE = 1_000;
/** They come from many addresses: of one alone the proxy takes 64 at a time. */
const ADDRESSES = 40;
/** Resident memory may grow by so much from the first wave to the last; a leak of each connection's 16 KiB would be 32 MiB. */
const GROWTH_KIB = 24 * 1024;
/** Octets of noise at most. */
const LONGEST = 4_096;

test("garbage on the proxy's port", needs(...EXEC_NEEDS), async (t) => {
  await using cluster = await LoopbackCluster.start();
  await using client = cluster.spawn("tsh", ["vnet", "exec", "--", ...connectionsTo("echo.company.test", 7)]);
  const echoes = async (id: number) => {
    client.write("\n");
    assert.equal((await newsOf(client, id)).event, "echo");
  };
  await echoes(1);

  await t.test("an oversized ClientHello is cut off", () => oversizedHello(cluster));
  await t.test("thousands of connections of garbage; memory stays, and everybody else is served", async (t) => {
    const resident: number[] = [];
    for (let wave = 0; wave < WAVES; wave++) {
      const strangers = await Promise.all(Array.from({ length: PER_WAVE }, (_, i) => stranger(cluster.proxyPort, i)));
      // The slow ones are still there.
      assert.ok(strangers.some((socket) => !socket.destroyed));
      await echoes(wave + 2);
      for (const socket of strangers) socket.destroy();
      resident.push(residentKib(cluster.teleport.pid));
    }
    tell(t, resident);
    assert.ok(resident.at(-1)! - resident[0]! < GROWTH_KIB, resident.join(", "));
    assert.ok(cluster.teleport.running);
    assert.doesNotMatch(client.output, /ECONN/, "the open connections are as they were");
    await cluster.ok("tsh", ["apps", "ls"]);
    assert.doesNotMatch(cluster.teleport.output, /ERROR|\n\s+at /, "no stack trace, whatever they sent");
  });
});

function tell(t: TestContext, resident: number[]): void {
  t.diagnostic(`${WAVES * PER_WAVE} connections; resident KiB after each wave: ${resident.join(", ")}`);
}

/** Real OpenSSL with 20,000 octets of protocols: TLS as it should be, but longer than anybody's. */
async function oversizedHello(cluster: LoopbackCluster): Promise<void> {
  const protocols = Array.from({ length: 100 }, (_, i) => `${i}`.padStart(200, "x"));
  const port = cluster.proxyPort;
  const hello = { host: "127.0.0.1", port, servername: "localhost", rejectUnauthorized: false };
  const since = performance.now();
  const big = connectTls({ ...hello, ALPNProtocols: protocols });
  const [error] = (await once(big, "error")) as [NodeJS.ErrnoException];
  assert.match(error.code ?? "", /^ECONNRESET$/);
  assert.ok(performance.now() - since < 2_000, "at once, not by the timeout");
  const large = connectTls({ ...hello, ALPNProtocols: ["http/1.1", ...protocols.slice(0, 10)] });
  await once(large, "secureConnect");
  large.destroy();
  assert.ok(tunnelLimits.MAX_CLIENT_HELLO < 100 * 200);
}

/** One who connects and sends: nothing, noise, the beginning of something known, or something known gone wrong. */
async function stranger(port: number, i: number): Promise<Socket> {
  const localAddress = `127.0.1.${1 + (i % ADDRESSES)}`;
  const socket = connect({ host: "127.0.0.1", port, localAddress });
  socket.on("error", () => {}).resume();
  await Promise.race([once(socket, "connect"), once(socket, "close")]).catch(() => {});
  const noise = randomBytes(1 + (i % LONGEST));
  const kinds: Uint8Array[][] = [
    [noise],
    [Buffer.from([0x16, 0x03, 0x01]), noise], // a record of TLS, in two pieces
    [Buffer.from([0x16, 0x03, 0x01, 0x10, 0x00, 0x01, 0x00, 0x0f, 0xfc, 0x03, 0x03]), noise],
    [Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
    [noise.subarray(0, 1)],
    [],
  ];
  for (const piece of kinds[i % kinds.length] ?? []) {
    socket.write(piece);
    await sleep(1);
  }
  return socket;
}

/** Resident memory of a process. */
function residentKib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}
