import assert from "node:assert/strict";
import { execFileSync, type SpawnSyncReturns, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Chunk } from "../base/mod.ts";
import { needs } from "../testkit/mod.ts";
import { DEVICE_CONTRACT, type DeviceRig } from "./contract.ts";
import type { Offload } from "./device.ts";
import { TUN_MTU } from "./limits.ts";
import { adoptTun, openTun, receiveDescriptor, sendDescriptor, socketPair } from "./linux.ts";

// A process cannot leave its network namespace, so the file runs itself once
// more, in one of its own, and the tests on a real device are declared there.
const INSIDE = process.env.VNET_TEST_INSIDE === "1";
const FILE = fileURLToPath(import.meta.url);
const NODE_FLAGS = ["--disable-warning=ExperimentalWarning"];

const HOST = "10.99.0.1";
const FAR = "10.99.0.2";
const PORT = 4_000;

if (!INSIDE) {
  test("a real device, in a network namespace of its own", needs("tun", "userns", "ip"), () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const args = ["-rn", process.execPath, ...NODE_FLAGS, FILE];
    const run = spawnSync("unshare", args, {
      env: { ...env, VNET_TEST_INSIDE: "1" },
      encoding: "utf8",
      timeout: 30_000,
    });
    assert.equal(run.status, 0, `${run.signal ?? ""}\n${run.stdout}\n${run.stderr}`);
    assert.match(run.stdout, /pass \d\d/); // and not "0 tests"
  });

  test("descriptors travel over a socket pair, with data beside them", async () => {
    const dir = mkdtempSync(join(tmpdir(), "vnet-descriptor-"));
    writeFileSync(join(dir, "file"), "through the socket");
    const file = openSync(join(dir, "file"), "r");
    const [a, b] = socketPair();
    const data = new TextEncoder().encode("hello");
    setTimeout(() => sendDescriptor(a, file, data), 5);
    const received = await receiveDescriptor(b);
    assert.equal(new TextDecoder().decode(received.data), "hello");
    assert.notEqual(received.descriptor, file);
    assert.equal(readFileSync(received.descriptor!, "utf8"), "through the socket");

    sendDescriptor(a, undefined, data);
    assert.equal((await receiveDescriptor(b)).descriptor, undefined);
    closeSync(a);
    assert.deepEqual(await receiveDescriptor(b), { descriptor: undefined, data: new Uint8Array() });
    for (const fd of [b, file, received.descriptor!]) closeSync(fd);
    rmSync(dir, { recursive: true });
  });
} else {
  for (const [rule, prove] of Object.entries(DEVICE_CONTRACT)) {
    test(`linux: ${rule}`, async () => {
      const rig = await kernelRig();
      try {
        await prove(rig);
      } finally {
        await rig.close();
      }
    });
  }

  test("the kernel agrees to checksum and segmentation offload", () => {
    const tun = openTun({ mtu: TUN_MTU });
    const { checksum, tso } = tun.offload;
    assert.deepEqual({ checksum, tso }, { checksum: true, tso: true });
    assert.equal(tun.name, "tun0");
    tun.close();
  });

  test("offload that is not wanted is not used: the kernel's checksums are complete then", async () => {
    for (const checksum of [true, false]) {
      const rig = await kernelRig({ checksum, tso: false, bigTcp: false });
      assert.deepEqual(rig.device.offload, { checksum, tso: false, bigTcp: false });
      const flags = await new Promise<number>((resolve) => {
        const receive = (frame: Chunk) => {
          resolve(frame.bytes[0]!);
          frame.release();
        };
        rig.device.start({ receive, drained() {}, failed: assert.fail });
        rig.inject(new Uint8Array(100));
      });
      assert.equal(flags, checksum ? 1 : 0); // VIRTIO_NET_HDR_F_NEEDS_CSUM
      await rig.close();
    }
  });

  test("a deleted device fails once, and is refused afterwards", async () => {
    const rig = await kernelRig();
    const failures: Error[] = [];
    rig.device.start({ receive: (c) => c.release(), drained() {}, failed: (error) => failures.push(error) });
    execFileSync("ip", ["link", "delete", rig.device.name]);
    await wait(20);
    assert.equal((failures[0] as { code?: string }).code, "tun.lost");
    assert.equal(failures.length, 1);
    assert.equal(rig.device.write(rig.frame(new Uint8Array(8))), false);
    await rig.close();
  });

  test("a device that is down refuses frames and has not failed; up again it works", async () => {
    const rig = await kernelRig();
    const failures: Error[] = [];
    const { promise: received, resolve } = Promise.withResolvers<void>();
    const receive = (frame: Chunk) => {
      frame.release();
      resolve();
    };
    rig.device.start({ receive, drained() {}, failed: (error) => failures.push(error) });
    const link = (state: string) => execFileSync("ip", ["link", "set", rig.device.name, state]);
    link("down");
    assert.equal(rig.device.write(rig.frame(new Uint8Array(8))), false);
    await wait(20);
    link("up");
    assert.equal(rig.device.write(rig.frame(new Uint8Array(8))), true);
    rig.inject(new Uint8Array(8));
    await received;
    assert.deepEqual(failures, []);
    await rig.close();
  });

  test("a name in use is refused with advice", () => {
    const tun = openTun({ name: "held0", mtu: TUN_MTU });
    assert.throws(() => openTun({ name: "held0", mtu: TUN_MTU }), /held0 is in use: VNet is running already/);
    tun.close();
  });

  test("a closed device leaves no descriptor, handle or interface", async () => {
    const before = openDescriptors();
    for (let i = 0; i < 20; i++) {
      const tun = openTun({ mtu: TUN_MTU });
      tun.start({ receive() {}, drained() {}, failed() {} });
      if (i % 2 === 0) await wait(1);
      tun.close();
    }
    await wait(10);
    assert.equal(openDescriptors(), before);
    assert.deepEqual(interfaces(), ["lo"]);
  });

  test("a descriptor that was passed on is adopted, name and offloads included", async () => {
    const tun = openTun({ name: "passed0", mtu: TUN_MTU });
    const [a, b] = socketPair();
    sendDescriptor(a, tun.fd);
    const { descriptor } = await receiveDescriptor(b);
    tun.close();
    const adopted = adoptTun(descriptor!, { mtu: TUN_MTU });
    assert.equal(adopted.name, "passed0");
    assert.deepEqual(adopted.offload, tun.offload);
    adopted.close();
    closeSync(a);
    closeSync(b);
  });

  test("a process that ends with a device open ends cleanly", () => {
    for (let i = 0; i < 3; i++) {
      const run = runAtBurst("process.exit(3)");
      assert.deepEqual([run.status, run.signal, String(run.stderr)], [3, null, ""]);
    }
  });

  test("what a handler promises comes before the next timer", () => {
    const run = runAtBurst("Promise.resolve().then(() => process.exit(6))");
    assert.deepEqual([run.status, run.signal, String(run.stderr)], [6, null, ""]);
  });

  test("what a handler throws is an uncaught exception like any other", () => {
    const run = runAtBurst("throw new RangeError('of the handler')");
    assert.deepEqual([run.status, run.signal], [1, null]);
    assert.match(String(run.stderr), /RangeError: of the handler\n +at .*drained/);
    const survived = runAtBurst("process.once('uncaughtException', () => process.exit(5)); throw new Error()");
    assert.deepEqual([survived.status, survived.signal, String(survived.stderr)], [5, null, ""]);
  });
}

/** A process with a device of its own, which runs `code` when the first burst is over. */
function runAtBurst(code: string): SpawnSyncReturns<Buffer> {
  const program = `
    const { openTun } = await import(${JSON.stringify(new URL("./mod.ts", import.meta.url).href)});
    const { execFileSync } = await import("node:child_process");
    const tun = openTun({ mtu: 1500 });
    tun.start({ receive() {}, drained() { ${code}; }, failed() {} });
    execFileSync("ip", ["link", "set", tun.name, "up"]);
    execFileSync("ip", ["address", "add", "fd99::1/64", "dev", tun.name]);
    setTimeout(() => process.exit(4), 2000);`;
  return spawnSync(process.execPath, [...NODE_FLAGS, "--input-type=module", "-e", program]);
}

/** The kernel is the far end: a UDP socket on the host's address, peer address behind the TUN. */
async function kernelRig(offload: Offload = { checksum: true, tso: true, bigTcp: false }): Promise<DeviceRig> {
  const device = openTun({ mtu: TUN_MTU, offload });
  execFileSync("ip", ["-batch", "-"], {
    input: `link set ${device.name} addrgenmode none\nlink set ${device.name} up\naddress add ${HOST} peer ${FAR} dev ${device.name}\n`,
  });
  const socket = createSocket("udp4");
  const arrived: Uint8Array[] = [];
  socket.on("message", (message) => arrived.push(message));
  socket.bind(PORT, HOST);
  await once(socket, "listening");
  return {
    device,
    arrived,
    frame: udpFrame,
    // Larger payloads than fit the MTU would be fragmented, which is not what is tested.
    inject: (payload) => socket.send(payload.subarray(Math.max(0, payload.length - 1_400)), PORT, FAR),
    async close() {
      device.close();
      socket.close();
      await once(socket, "close");
    },
  };
}

/** Frame header, IPv4 header, UDP header without checksum (allowed over IPv4, RFC 768), payload. */
function udpFrame(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(10 + 28 + payload.length);
  const ip = new DataView(frame.buffer, 10, 28);
  ip.setUint16(0, 0x4500);
  ip.setUint16(2, 28 + payload.length);
  ip.setUint16(8, 0x4011); // TTL 64, UDP
  FAR.split(".").forEach((octet, i) => {
    ip.setUint8(12 + i, Number(octet));
  });
  HOST.split(".").forEach((octet, i) => {
    ip.setUint8(16 + i, Number(octet));
  });
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += ip.getUint16(i);
  ip.setUint16(10, ~((sum & 0xffff) + (sum >> 16)));
  ip.setUint16(20, PORT);
  ip.setUint16(22, PORT);
  ip.setUint16(24, 8 + payload.length);
  frame.set(payload, 38);
  return frame;
}

function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

function interfaces(): string[] {
  return execFileSync("ip", ["-o", "link"], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => line.split(": ")[1]!);
}
