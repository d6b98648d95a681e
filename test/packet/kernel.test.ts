/**
 * The oracle: Linux's own TCP on the other side of a real TUN. The file runs
 * itself once more in a network namespace of its own, and the tests proper are
 * declared there.
 */
import assert from "node:assert/strict";
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { createHash, randomFillSync } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  type ByteStream,
  Counters,
  isMalformed,
  parseIp,
  plainChunk,
  seededRandom,
  systemClock,
  systemRandom,
} from "../../src/base/mod.ts";
import { Stack, type StackOptions } from "../../src/net/stack/mod.ts";
import { needs } from "../../src/testkit/mod.ts";
import { openTun } from "../../src/tun/mod.ts";

const INSIDE = process.env.VNET_TEST_INSIDE === "1";
const FILE = fileURLToPath(import.meta.url);
const CLIENT = fileURLToPath(new URL("./kernel-client.ts", import.meta.url));
const NODE_FLAGS = ["--disable-warning=ExperimentalWarning"];

const HOST4 = "10.94.0.1";
const FAR4 = "10.94.0.2";
const HOST6 = "fd94::1";
const FAR6 = "fd94::2";
const MIB = 1024 * 1024;

/** What the stack's side does with a connection to a port. */
const BULK = 80;
const REFUSED = 81;
const RESET_BY_PEER = 82;
const RESET_BY_US = 83;
const SLOW = 84;
const LATE = 85;

/** Of the bulk test in progress. */
let bulkOctets = 0;

interface Bench {
  stack: Stack;
  counters: Counters;
  /** What each connection came to. */
  results: Promise<Result>[];
  loss: number;
  close(): void;
}

interface Result {
  sent: string;
  received: string;
  receivedLen: number;
  end: string;
}

if (!INSIDE) {
  test("against the kernel's TCP, in a network namespace of its own", needs("tun", "userns", "ip"), (t) => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const run = spawnSync("unshare", ["-rn", process.execPath, ...NODE_FLAGS, FILE], {
      env: { ...env, VNET_TEST_INSIDE: "1" },
      encoding: "utf8",
      timeout: 120_000,
    });
    assert.equal(run.status, 0, `${run.signal ?? ""}\n${run.stdout}\n${run.stderr}`);
    assert.match(run.stdout, /pass \d+/); // and not "0 tests"
    for (const line of run.stdout.split("\n").filter((l) => l.includes("MiB"))) t.diagnostic(line.trim());
  });
} else {
  const full = await bench({ checksum: true, tso: true });
  after(() => full.close());

  for (const address of [FAR4, FAR6]) {
    test(`64 MiB each way at once, ${address}`, async (t) => {
      t.diagnostic(await bulk(full, address, 64 * MIB));
    });
  }

  test("the same without offload: our checksums are the kernel's", async (t) => {
    const plain = await bench({ checksum: false, tso: false }, 1);
    for (const address of [far(FAR4, 1), far(FAR6, 1)]) t.diagnostic(await bulk(plain, address, 4 * MIB));
    plain.close();
  });

  test("frames lost in both directions, both ways of sending", async (t) => {
    for (const [subnet, tso] of [
      [2, false],
      [3, true],
    ] as const) {
      const lossy = await bench({ checksum: true, tso }, subnet);
      lossy.loss = 0.02;
      t.diagnostic(await bulk(lossy, far(FAR4, subnet), 4 * MIB));
      const { "tcp.fast-retransmit": fast = 0, "tcp.retransmission-timeout": timeouts = 0 } = lossy.counters.snapshot();
      t.diagnostic(`4 MiB at a loss of 2 %: ${fast} fast retransmits, ${timeouts} timeouts`);
      if (!tso) assert.ok(fast > 0);
      lossy.close();
    }
  });

  test("a refused connection fails at once", async () => {
    for (const address of [FAR4, FAR6]) {
      const { connect, ms } = await client<{ connect: string; ms: number }>("bulk", address, REFUSED);
      assert.equal(connect, "ECONNREFUSED");
      assert.ok(ms < 500, `${ms} ms`);
    }
  });

  test("an accept that comes after the kernel has asked again", async () => {
    const { closed, ms } = await client<{ closed: string; ms: number }>("bulk", FAR4, LATE);
    assert.equal(closed, "end");
    assert.ok(ms > 1_250, `${ms} ms`);
    assert.ok(full.counters.get("tcp.syn-absorbed") > 0);
    await full.results.pop();
  });

  test("the kernel's RST is the consumer's reset, and ours the client's ECONNRESET", async () => {
    await client("reset", FAR4, RESET_BY_PEER);
    assert.equal((await full.results.pop()!).end, "peer");
    const { closed } = await client<{ closed: string }>("bulk", FAR6, RESET_BY_US, 100);
    assert.equal(closed, "ECONNRESET");
    assert.equal((await full.results.pop()!).end, "ours");
  });

  test("a reader who sleeps closes the window, and gets everything afterwards", async () => {
    const { closed, received, receivedLen } = await client<{ closed: string; received: string; receivedLen: number }>(
      "slow",
      FAR4,
      SLOW,
    );
    const ours = await full.results.pop()!;
    assert.equal(closed, "end");
    assert.equal(receivedLen, 24 * MIB);
    assert.equal(received, ours.sent);
  });

  test("UDP with a valid checksum both ways, and port unreachable", async () => {
    for (const [type, address] of [
      ["udp4", FAR4],
      ["udp6", FAR6],
    ] as const) {
      const socket = createSocket(type);
      socket.connect(53, address);
      await once(socket, "connect");
      socket.send(Buffer.alloc(1400, "u"));
      const [answer] = (await once(socket, "message")) as [Buffer];
      assert.equal(answer.toString(), `echo ${"u".repeat(1400)}`);
      socket.close();
      const nobody = createSocket(type);
      nobody.connect(54, address);
      await once(nobody, "connect");
      nobody.send("x");
      const [error] = (await once(nobody, "error")) as [NodeJS.ErrnoException];
      assert.equal(error.code, "ECONNREFUSED");
      nobody.close();
    }
  });

  test("no connection is left behind", async () => {
    assert.equal(full.stack.connections, 0);
    assert.equal(full.counters.get("tcp.checksum"), 0);
    assert.equal(full.counters.get("ip4.checksum"), 0);
    await Promise.resolve();
  });
}

async function bulk(rig: Bench, address: string, octets: number): Promise<string> {
  bulkOctets = octets;
  const theirs = await client<{ closed: string; sent: string; received: string; receivedLen: number; ms: number }>(
    "bulk",
    address,
    BULK,
    octets,
  );
  const ours = await rig.results.pop()!;
  assert.deepEqual([theirs.closed, ours.end], ["end", "end"]);
  assert.deepEqual([theirs.receivedLen, ours.receivedLen], [octets, octets]);
  assert.equal(ours.received, theirs.sent);
  assert.equal(theirs.received, ours.sent);
  return `${octets / MIB} MiB each way to ${address}: ${theirs.ms.toFixed(0)} ms`;
}

async function client<T>(mode: string, address: string, port: number, octets = 0): Promise<T> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...NODE_FLAGS, CLIENT, mode, address, String(port), String(octets)],
    { timeout: 60_000 },
  );
  return JSON.parse(stdout) as T;
}

function far(address: string, subnet: number): string {
  return address.replace("94", String(94 + subnet));
}

/** A device, its addresses, and a stack behind it. */
async function bench(offload: StackOptions["offload"], subnet = 0): Promise<Bench> {
  const tun = openTun({ mtu: 1500 });
  execFileSync("ip", ["-batch", "-"], {
    input: `
      link set ${tun.name} addrgenmode none
      link set ${tun.name} up
      address add ${far(HOST4, subnet)} peer ${far(FAR4, subnet)} dev ${tun.name}
      address add ${far(HOST6, subnet)} peer ${far(FAR6, subnet)} dev ${tun.name} nodad
    `,
  });
  const counters = new Counters();
  const random = seededRandom(7);
  const results: Promise<Result>[] = [];
  const lost = () => random(1)[0]! < rig.loss * 256;
  const stack = new Stack({
    clock: systemClock,
    random: systemRandom,
    counters,
    mtu: tun.mtu,
    offload,
    emit: (frame) => {
      if (!lost()) tun.write(frame);
    },
    isLocal: (address) => isEndpoint(address, [far(FAR4, subnet), far(FAR6, subnet)]),
    mayTalk: (address) => isEndpoint(address, [far(HOST4, subnet), far(HOST6, subnet)]),
    handlers: {
      tcp: (attempt) => {
        const { port } = attempt.local;
        if (port === REFUSED) attempt.refuse();
        else if (port === LATE) setTimeout(() => results.push(serve(attempt.accept(), port)), 1_300);
        else results.push(serve(attempt.accept(), port));
      },
      udp: (datagram) => {
        if (datagram.local.port !== 53) return false;
        datagram.reply(Buffer.concat([Buffer.from("echo "), datagram.payload]));
        return true;
      },
      echo: () => true,
    },
  });
  const rig: Bench = {
    stack,
    counters,
    results,
    loss: 0,
    close() {
      stack.close();
      tun.close();
    },
  };
  tun.start({
    receive: (frame) => {
      if (lost()) frame.release();
      else stack.input(frame);
    },
    drained: () => stack.drained(),
    failed: (error) => assert.fail(error),
  });
  return rig;
}

function isEndpoint(address: Uint8Array, texts: string[]): boolean {
  return texts.some((text) => {
    const parsed = parseIp(text);
    return !isMalformed(parsed) && Buffer.from(parsed).equals(address);
  });
}

/** The application behind the stack: reads everything, writes what the port stands for, half-closes. */
function serve(stream: ByteStream, port: number): Promise<Result> {
  const sent = createHash("sha256");
  const received = createHash("sha256");
  let receivedLen = 0;
  let left = port === BULK ? bulkOctets : port === SLOW ? 24 * MIB : 0;
  return new Promise((resolve) => {
    const done = (end: string) =>
      resolve({ sent: sent.digest("hex"), received: received.digest("hex"), receivedLen, end });
    let open = 2;
    const ended = () => {
      open--;
      if (open === 0) done("end");
    };
    const write = (bytes: Uint8Array) => {
      sent.update(bytes);
      stream.write(plainChunk(bytes));
    };
    stream.open({
      data: (chunk) => {
        const { length } = chunk.bytes;
        receivedLen += length;
        received.update(chunk.bytes);
        chunk.release();
        stream.credit(length);
        if (port === RESET_BY_PEER) write(Buffer.from("go"));
        if (port === RESET_BY_US) {
          stream.reset("unreachable");
          done("ours");
        }
      },
      end: ended,
      reset: (reason) => done(reason),
      writable: (octets) => {
        for (let room = octets; room > 0 && left > 0; ) {
          const bytes = randomFillSync(new Uint8Array(Math.min(room, left, 64 * 1024)));
          room -= bytes.length;
          left -= bytes.length;
          write(bytes);
        }
        if (left === 0 && port !== RESET_BY_PEER && port !== RESET_BY_US) {
          left = -1;
          stream.end();
          ended();
        }
      },
    });
    stream.credit(2 * MIB);
  });
}
