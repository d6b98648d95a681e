/**
 * The measured process: TUN, stack, and what is behind it. `stack.ts SUBNET MTU
 * OFFLOAD PORT`; IPC: "ready", later "memory" for what it takes. Behind the
 * stack's ports: 80 serves `protocol.ts` itself, 81 is relayed to 127.0.0.1:PORT
 * as VNet relays, dialled before the connection is accepted.
 */
import { connect } from "node:net";
import { type ByteStream, type Chunk, plainChunk, splice } from "../../src/base/mod.ts";
import type { TcpAttempt } from "../../src/net/stack/mod.ts";
import { socketStream } from "../../src/tunnel/mod.ts";
import { kernelRig } from "../../test/packet/kernel-rig.ts";
import { decodeRequest, REQUEST_LEN, Receiver, Sender } from "./protocol.ts";

const [subnet, mtu, offload, port] = process.argv.slice(2).map(Number);
const WINDOW = 4 * 1024 * 1024;
const PIECE_LEN = 256 * 1024;

kernelRig({
  subnet: subnet!,
  mtu: mtu!,
  offload: offload === 1,
  routes: "as-vnet",
  handlers: {
    tcp: (attempt) => {
      if (attempt.local.port === 81) relay(attempt);
      else serve(attempt.accept());
    },
    udp: () => false,
    echo: () => true,
  },
});
process.on("message", () => {
  globalThis.gc?.();
  process.send!(process.memoryUsage());
});
process.on("disconnect", () => process.exit(0));
process.send!("ready");

function relay(attempt: TcpAttempt): void {
  const socket = connect({ host: "127.0.0.1", port: port!, noDelay: true, allowHalfOpen: true });
  socket.once("error", () => attempt.refuse());
  socket.once("connect", () => splice(attempt.accept(), socketStream(socket), () => {}));
}

function serve(stream: ByteStream): void {
  let take: ((bytes: Uint8Array) => void) | undefined;
  let pump: (() => void) | undefined;
  let allowance = 0;
  const write = (bytes: Uint8Array) => {
    allowance -= bytes.length;
    stream.write(plainChunk(bytes));
  };
  const begin = (first: Uint8Array) => {
    const { mode, octets, hash } = decodeRequest(first.subarray(0, REQUEST_LEN));
    if (mode === "echo") take = (bytes) => write(bytes.slice());
    if (mode === "up") {
      const receiver = new Receiver(octets, hash);
      take = (bytes) => {
        if (receiver.take(bytes)) write(Buffer.from("!"));
      };
    }
    if (mode === "down") {
      const sender = new Sender(octets, hash);
      take = () => {};
      pump = () => {
        while (sender.left > 0 && allowance > 0) write(sender.next(Math.min(allowance, PIECE_LEN)));
        if (sender.left > 0 || allowance < 32) return;
        pump = undefined;
        write(sender.digest());
        stream.end();
      };
      pump();
    }
    if (first.length > REQUEST_LEN) take?.(first.subarray(REQUEST_LEN));
  };
  stream.open({
    data: (chunk: Chunk) => {
      const { length } = chunk.bytes;
      if (take === undefined) begin(chunk.bytes);
      else take(chunk.bytes);
      chunk.release();
      stream.credit(length);
    },
    end: () => stream.end(),
    reset() {},
    writable: (octets) => {
      allowance += octets;
      pump?.();
    },
  });
  stream.credit(WINDOW);
}
