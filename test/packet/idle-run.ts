import { setTimeout as wait } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  type ByteStream,
  Counters,
  concat,
  isMalformed,
  plainChunk,
  type StreamHandler,
  systemClock,
  systemRandom,
} from "../../src/base/mod.ts";
import { Stack, type TcpAttempt } from "../../src/net/stack/mod.ts";
import {
  ACK,
  decodeIp,
  decodeTcp,
  encodeTcp,
  PSH,
  put32,
  RST,
  SYN,
  VIRTIO_HEADER_LEN,
} from "../../src/net/wire/mod.ts";
import { ipFrame } from "./rig.ts";

export interface IdleResult {
  connections: number;
  /** Heap and typed arrays outside it, octets. */
  eachOctets: number;
  /** Of this process, while nothing happens. */
  cpuPercent: number;
  idleSeconds: number;
  /** Connections that took an octet and sent one afterwards. */
  usable: number;
  framesWhileIdle: number;
}

const HELLO = Uint8Array.from(Buffer.from("hello"));
const PORTS = 8_192;
/** MSS 1460, SACK permitted, timestamps, NOP, window scale 7: what Linux sends. */
const SYN_OPTIONS = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];

/** `count` connections from many addresses, each used once, then idle for `seconds`. */
export async function idleRun(count: number, seconds: number): Promise<IdleResult> {
  await new Idle(Math.min(count, 2_000)).connect(); // compiled code is not what is measured
  const idle = new Idle(count);
  const before = await heap();
  await idle.connect();
  const eachOctets = ((await heap()) - before) / count;
  await wait(500); // delayed ACKs and probes of the tail
  const emittedBefore = idle.emitted;
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  await wait(seconds * 1_000);
  const { user, system } = process.cpuUsage(cpuBefore);
  const cpuPercent = (user + system) / 10 / (performance.now() - start);
  const framesWhileIdle = idle.emitted - emittedBefore;
  const usable = await idle.useAll();
  idle.close();
  return { connections: count, eachOctets, cpuPercent, idleSeconds: seconds, usable, framesWhileIdle };
}

/** The clients are only frames and two numbers each, made before anything is measured. */
class Idle {
  readonly #stack: Stack;
  readonly #count: number;
  readonly #streams: ByteStream[];
  readonly #seq: Uint32Array;
  readonly #ack: Uint32Array;
  readonly #tsEcr: Uint32Array;
  readonly #answered: Uint8Array;
  #attempt: TcpAttempt | undefined;
  /** The connection that the current frame is about. */
  #now = 0;
  #taken = 0;
  emitted = 0;

  constructor(count: number) {
    this.#count = count;
    this.#streams = new Array<ByteStream>(count);
    this.#seq = new Uint32Array(count);
    this.#ack = new Uint32Array(count);
    this.#tsEcr = new Uint32Array(count);
    this.#answered = new Uint8Array(count);
    this.#stack = new Stack({
      clock: systemClock,
      random: systemRandom,
      counters: new Counters(),
      mtu: 1500,
      offload: { checksum: true, tso: true },
      maxConnections: count,
      emit: (frame) => this.#learn(frame),
      isLocal: () => true,
      mayTalk: () => true,
      handlers: {
        tcp: (attempt) => {
          this.#attempt = attempt;
        },
        udp: () => false,
        echo: () => false,
      },
    });
  }

  async connect(): Promise<void> {
    const handler: StreamHandler = {
      data: (chunk) => {
        this.#taken += chunk.bytes.length;
        chunk.release();
      },
      end() {},
      reset() {},
      writable() {},
    };
    for (let i = 0; i < this.#count; i++) {
      this.#send(i, SYN);
      const stream = this.#attempt!.accept();
      this.#attempt = undefined;
      this.#send(i, ACK);
      stream.open(handler);
      stream.credit(65_536);
      this.#streams[i] = stream;
      if (i % 100 === 0) await Promise.resolve(); // `open` speaks in the next turn
    }
    await wait(0);
    await this.useAll();
  }

  /** Each connection takes "hello" and says it: how many did. */
  async useAll(): Promise<number> {
    this.#answered.fill(0);
    this.#taken = 0;
    let usable = 0;
    for (let i = 0; i < this.#count; i++) {
      const before = this.#taken;
      this.#send(i, ACK | PSH, HELLO);
      this.#streams[i]!.write(plainChunk(HELLO));
      this.#send(i, ACK);
      if (this.#taken === before + HELLO.length && this.#answered[i] === HELLO.length) usable++;
      if (i % 1_000 === 0) await wait(0);
    }
    return usable;
  }

  close(): void {
    this.#stack.close();
  }

  #send(i: number, flags: number, text = new Uint8Array(0)): void {
    this.#now = i;
    const options = flags & SYN ? Uint8Array.from(SYN_OPTIONS) : Uint8Array.of(1, 1, 8, 10, 0, 0, 0, 2, 0, 0, 0, 0);
    if ((flags & SYN) === 0) put32(options, 8, this.#tsEcr[i]!);
    const header = new Uint8Array(20);
    const srcPort = 1_024 + (i % PORTS);
    const fields = { srcPort, dstPort: 5_432, seq: this.#seq[i]!, ack: this.#ack[i]!, flags, wnd: 65_535 };
    encodeTcp(header, 0, fields, 20 + options.length);
    const segment = concat(header, options, text);
    const from = Uint8Array.of(100, 64, 0, 1 + Math.floor(i / PORTS));
    const frame = ipFrame(from, Uint8Array.of(100, 65, i % 250, 9), 6, segment, 16);
    this.#seq[i] = this.#seq[i]! + text.length + (flags & SYN ? 1 : 0);
    this.#stack.input(plainChunk(frame));
    this.#stack.drained();
  }

  #learn(frame: Uint8Array): void {
    this.emitted++;
    const ip = decodeIp(frame, VIRTIO_HEADER_LEN);
    if (isMalformed(ip)) return;
    const seg = decodeTcp(frame, ip.bodyAt, ip.end);
    if (isMalformed(seg) || seg.flags & RST) return;
    const i = this.#now;
    if (seg.dstPort !== 1_024 + (i % PORTS)) return;
    this.#ack[i] = seg.seq + seg.textLen + (seg.flags & SYN ? 1 : 0);
    if (seg.tsVal >= 0) this.#tsEcr[i] = seg.tsVal;
    this.#answered[i]! += seg.textLen;
  }
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

async function heap(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    collect();
    await wait(10);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
