/**
 * The proxy cannot read what it relays, and cannot change it unnoticed. Every
 * part is a process of its own; a tap stands between user and proxy.
 *
 * That it cannot lead a user to another agent: `bad-input-agent.test.ts`.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import test from "node:test";
import { sleep } from "../../src/base/mod.ts";
import { type BackgroundProcess, freePort } from "../../src/testkit/mod.ts";
import { LoopbackCluster } from "./loopback-cluster.ts";
import { countInMemory } from "./process-memory.ts";
import { decrypt, type Tamper, TlsTap } from "./tls-records.ts";

const ENOUGH = 4 * 1024 * 1024; // octets of markers, echoed
const TRANSFER = 1024 * 1024;

test("the proxy's octets, keys, heap and memory do not have the plaintext", async (t) => {
  await using place = await start({
    teleport: "--tls-keylog=proxy.keys --heapsnapshot-signal=SIGUSR2",
    tsh: "--tls-keylog=client.keys",
  });
  const { cluster, tap, tsh } = place;
  const marker = randomBytes(24).toString("hex");
  const socket = await place.connect();
  const echoed = keepSending(socket, marker);
  await echoed.atLeast(ENOUGH);

  await t.test("the transfer is under way: client and agent hold the marker, the proxy does not", () => {
    assert.ok(countInMemory(tsh.pid, marker) > 0, "positive control: the client's memory");
    assert.ok(countInMemory(cluster.agent!.pid, marker) > 0, "positive control: the agent's memory");
    assert.equal(countInMemory(cluster.teleport.pid, marker), 0, "the proxy's memory");
  });

  await t.test("a heap snapshot of the proxy does not have it", async () => {
    const before = echoed.octets;
    cluster.teleport.signal("SIGUSR2");
    const snapshot = await snapshotIn(cluster.directory);
    await echoed.atLeast(before + ENOUGH); // The transfer went on meanwhile.
    assert.ok(snapshot.includes("tp-link/1"), "positive control: a string that the proxy works with");
    assert.equal(snapshot.includes(marker), false);
  });

  await t.test("the client's key log opens what was captured, the proxy's does not", () => {
    // Of several transports the one with the transfer.
    const captured = tap.links.toSorted((a, b) => a.toAgent.length - b.toAgent.length).at(-1);
    assert.ok(captured);
    const onTheWire = Buffer.concat([...captured.toAgent, ...captured.toClient]);
    assert.ok(onTheWire.length > 2 * ENOUGH);
    assert.equal(onTheWire.includes(marker), false);
    const clientLog = readFileSync(cluster.file("client.keys"), "utf8");
    assert.ok(decrypt(captured, clientLog).includes(marker), "positive control: the client's keys");
    const proxyLog = readFileSync(cluster.file("proxy.keys"), "utf8");
    assert.match(proxyLog, /^CLIENT_TRAFFIC_SECRET_0 /m, "the proxy's log has the keys of its own connections");
    assert.equal(decrypt(captured, proxyLog).length, 0, "none of them is the link's");
  });
  socket.destroy();
});

/** Longer than the acknowledgement of a last octet takes. */
const LINK_IDLE_MS = 100;

test("a proxy that tampers ends its own connection, and never delivers a wrong octet", async (t) => {
  await using place = await start();
  const { tap } = place;
  const data = randomBytes(TRANSFER);
  assert.deepEqual(await place.transfer(data), { end: "end", length: TRANSFER }, "positive control: untouched");

  for (const direction of ["toAgent", "toClient"] as const) {
    for (const [what, how] of Object.entries(TAMPERS)) {
      await t.test(`${what}, ${direction === "toAgent" ? "to the agent" : "to the client"}`, async () => {
        // Each begins a link, unless the last one is still busy, and so waits for no turn to attach.
        await sleep(LINK_IDLE_MS);
        await tap.endLinks();
        let done = false;
        const tamper = how();
        const first = tap.links.length;
        tap.tamper = (record, index, at) => {
          // Some twenty records into the transfer, once.
          if (done || at !== direction || record[0] !== 23 || record.length < 4_000 || index < 20) return undefined;
          const instead = tamper(record, index, at);
          done = instead?.again !== true;
          return instead;
        };
        const result = await place.transfer(data);
        tap.tamper = undefined;
        assert.equal(done, true, "it was tampered with");
        assert.deepEqual(result, { end: "end", length: TRANSFER }, "whole, over another connection");
        assert.ok(tap.links.length > first + 1, "the one that was tampered with has ended");
      });
    }
  }

  await t.test("a handshake that is tampered with is refused", async () => {
    tap.tamper = (record, index, at) => (at === "toClient" && index === 2 ? { send: [flipped(record)] } : undefined);
    await tap.endLinks();
    assert.deepEqual(await place.transfer(data), { end: "ECONNRESET", length: 0 });
    tap.tamper = undefined;
  });

  await t.test("all that a client sent, sent again, is answered with alert 112", async () => {
    await place.transfer(data);
    const again = connect(place.cluster.proxyPort, "127.0.0.1");
    again.on("error", () => {});
    for (const record of tap.links.at(-1)!.toAgent) again.write(record);
    const [answer] = (await once(again, "data")) as [Buffer];
    assert.equal(answer.toString("hex"), "15030300020270");
    again.destroy();
  });
});

/** Each call sees one large record of the transfer, until it has answered with something. */
const TAMPERS: Record<string, () => Tamper> = {
  "a flipped bit": () => (record) => ({ send: [flipped(record)] }),
  "a record twice": () => (record) => ({ send: [record, record] }),
  "a record left out": () => () => ({ send: [] }),
  "two records in the other order": () => {
    let first: Uint8Array | undefined;
    return (record) => {
      if (first !== undefined) return { send: [record, first] };
      first = record;
      return { send: [], again: true };
    };
  },
  "a record cut in the middle, and an end": () => (record) => ({ send: [record.subarray(0, 2_000)], end: true }),
  "an end between records": () => () => ({ send: [], end: true }),
  "a foreign record": () => (record) => ({ send: [foreign(), record] }),
  "a plaintext close_notify": () => (record) => ({ send: [Uint8Array.of(21, 3, 3, 0, 2, 1, 0), record] }),
};

function flipped(record: Uint8Array): Uint8Array {
  const out = Buffer.from(record);
  out[out.length >> 1]! ^= 1;
  return out;
}

/** A well-formed record of somebody else. */
function foreign(): Uint8Array {
  return Buffer.concat([Buffer.of(23, 3, 3, 1, 0), randomBytes(256)]);
}

interface Place extends AsyncDisposable {
  readonly cluster: LoopbackCluster;
  readonly tap: TlsTap;
  readonly tsh: BackgroundProcess;
  connect(): Promise<Socket>;
  /** To the echo and back: how it ended, and how much came. Every octet that came is compared. */
  transfer(data: Uint8Array): Promise<{ end: string; length: number }>;
}

/** A cluster behind a tap, its agent apart, and `tsh proxy app echo`. */
async function start(options: { teleport?: string; tsh?: string } = {}): Promise<Place> {
  const proxyPort = await freePort();
  const tap = await TlsTap.start(proxyPort);
  const publicAddr = `localhost:${tap.port}`;
  const env = options.teleport === undefined ? {} : { NODE_OPTIONS: options.teleport };
  const cluster = await LoopbackCluster.start({ apart: true, proxyPort, publicAddr, env });
  const tsh = cluster.spawn("tsh", ["proxy", "app", "echo"], { env: { NODE_OPTIONS: options.tsh ?? "" } });
  const port = Number((await tsh.waitFor(/on 127\.0\.0\.1:(\d+)$/m))[1]);
  const open = async () => {
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    await once(socket, "connect");
    return socket;
  };
  const transfer = async (data: Uint8Array) => echoOf(await open(), data);
  return {
    cluster,
    tap,
    tsh,
    connect: open,
    transfer,
    async [Symbol.asyncDispose]() {
      await cluster[Symbol.asyncDispose]();
      await tap[Symbol.asyncDispose]();
    },
  };
}

function echoOf(socket: Socket, data: Uint8Array): Promise<{ end: string; length: number }> {
  let length = 0;
  let wrong = false;
  return new Promise((resolve, reject) => {
    const finish = (end: string) => {
      socket.destroy();
      if (wrong) reject(new Error(`a wrong octet among ${length}`));
      else resolve({ end, length });
    };
    socket.on("data", (bytes: Buffer) => {
      wrong ||= !bytes.equals(data.subarray(length, length + bytes.length));
      length += bytes.length;
    });
    socket.on("end", () => finish("end"));
    socket.on("error", (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    socket.end(data);
  });
}

/** Markers without end, as fast as they are taken. */
function keepSending(socket: Socket, marker: string) {
  const piece = Buffer.from(marker.repeat(1_000));
  const echoed = {
    octets: 0,
    async atLeast(octets: number): Promise<void> {
      const deadline = performance.now() + 20_000;
      while (echoed.octets < octets) {
        assert.ok(performance.now() < deadline, `only ${echoed.octets} octets came back`);
        await sleep(10);
      }
    },
  };
  const more = () => {
    while (socket.writable && socket.write(piece));
  };
  socket.on("drain", more);
  socket.on("data", (bytes: Buffer) => {
    echoed.octets += bytes.length;
  });
  socket.on("error", () => {});
  more();
  return echoed;
}

/** The snapshot's text, once it is whole. */
async function snapshotIn(directory: string): Promise<Buffer> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const name = readdirSync(directory).find((file) => file.endsWith(".heapsnapshot"));
    const text = name === undefined ? undefined : readFileSync(`${directory}/${name}`);
    // The last key of the format.
    if (text?.subarray(-16).toString().trimEnd().endsWith("]}")) return text;
    assert.ok(performance.now() < deadline, "no heap snapshot");
    await sleep(100);
  }
}
