import { readFileSync } from "node:fs";
import {
  addWords,
  checksumOf,
  encodeIp4,
  encodeIp6,
  encodeTcp,
  pseudoHeaderSum,
  put16,
  put32,
  VIRTIO_HEADER_LEN,
} from "../../src/net/wire/mod.ts";
import { chances } from "./impairment.ts";

/** What the attacker knows of a connection: enough to send text that is taken. */
export interface Target {
  readonly v6: boolean;
  readonly port: number;
  /** The next number that the stack expects, and that it will send. */
  seq: number;
  ack: number;
  /** What the stack echoes and what it says, where it uses timestamps. */
  timestamps: { val: number; ecr: number } | undefined;
}

const NEAR4 = Uint8Array.of(100, 64, 0, 1);
const FAR4 = Uint8Array.of(100, 64, 0, 9);
const NEAR6 = Uint8Array.from([0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
const FAR6 = Uint8Array.from([0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMPV6 = 58;
const FRAGMENT = 44;
/** Known extension headers and some that are none. */
const EXTENSIONS = [0, 43, 60, 51, 50, 59, 135, FRAGMENT];

/** Frames of every kind, made of chance: octets, packets that are almost right, and captured ones with damage. */
export class HostileFrames {
  readonly #chance: () => number;
  readonly #corpus: readonly Uint8Array[];

  constructor(seed: number, corpus: readonly Uint8Array[]) {
    this.#chance = chances(seed);
    this.#corpus = corpus;
  }

  below(limit: number): number {
    return Math.floor(this.#chance() * limit);
  }

  oneIn(n: number): boolean {
    return this.#chance() * n < 1;
  }

  /** `target`: a connection to aim at, where there is one. */
  next(target: Target | undefined): Uint8Array {
    const kind = this.below(100);
    if (kind < 8) return this.#octets(this.below(160));
    if (kind < 16) return this.#almostIp();
    const frame = kind < 30 ? this.#captured() : this.#packet(kind, target);
    return this.oneIn(5) ? this.#damaged(frame) : frame;
  }

  #packet(kind: number, target: Target | undefined): Uint8Array {
    const v6 = target === undefined ? this.oneIn(2) : target.v6;
    if (kind < 80) return this.#tcp(v6, target);
    if (kind < 86) return this.#datagram(v6);
    if (kind < 93) return this.#icmp(v6, target);
    return v6 ? this.#extended(target) : this.#fragment4();
  }

  #octets(length: number): Uint8Array {
    const octets = new Uint8Array(length);
    for (let at = 0; at + 4 <= length; at += 4) put32(octets, at, this.below(2 ** 32));
    return octets;
  }

  #almostIp(): Uint8Array {
    const frame = this.#octets(VIRTIO_HEADER_LEN + 20 + this.below(120));
    frame[0] = this.below(4);
    frame[1] = this.oneIn(4) ? frame[1]! : 0;
    frame[VIRTIO_HEADER_LEN] = this.oneIn(2) ? 0x45 + this.below(3) : 0x60;
    if (this.oneIn(2))
      put16(frame, VIRTIO_HEADER_LEN + (frame[VIRTIO_HEADER_LEN] < 0x60 ? 2 : 4), this.below(frame.length + 8));
    return frame;
  }

  #captured(): Uint8Array {
    const frame = this.#corpus[this.below(this.#corpus.length)]!.slice();
    if (!this.oneIn(4)) frame[0] = 1 + this.below(2);
    return this.#damaged(frame);
  }

  #damaged(frame: Uint8Array): Uint8Array {
    for (let flips = 1 + this.below(4); flips > 0 && frame.length > 0; flips--) {
      const at = this.below(Math.min(frame.length, this.oneIn(3) ? frame.length : 90));
      frame[at] = this.oneIn(3) ? [0, 1, 0x7f, 0x80, 0xff][this.below(5)]! : this.below(256);
    }
    return this.oneIn(6) ? frame.slice(0, this.below(frame.length + 1)) : frame;
  }

  #tcp(v6: boolean, target: Target | undefined): Uint8Array {
    const options = this.#options(target);
    const textLen = this.oneIn(2) ? 0 : this.oneIn(20) ? this.below(30_000) : this.below(1_400);
    const segment = new Uint8Array(20 + options.length + textLen);
    const flags = this.oneIn(3) ? this.below(64) : [2, 16, 24, 17, 25, 4, 20, 18][this.below(8)]!;
    const known = target !== undefined && flags !== 2;
    const wild = this.oneIn(8);
    encodeTcp(
      segment,
      0,
      {
        srcPort: known ? target.port : this.below(65_536),
        dstPort: 80,
        seq: wild
          ? this.below(2 ** 32)
          : near(known ? target.seq : 0, this.oneIn(3) ? 0 : this.below(140_000) - 70_000),
        ack: this.oneIn(12)
          ? this.below(2 ** 32)
          : near(known ? target.ack : 0, this.oneIn(2) ? 0 : this.below(3_000) - 1_500),
        flags,
        wnd: this.oneIn(3) ? this.below(3) : this.below(65_536),
      },
      20 + options.length,
    );
    segment.set(options, 20);
    return this.#finish(v6, TCP, segment, 16, textLen);
  }

  /** Lengths that are right, wrong, or run over the end. */
  #options(target: Target | undefined): Uint8Array {
    const octets: number[] = [];
    if (target?.timestamps !== undefined && !this.oneIn(6)) {
      const { val, ecr } = target.timestamps;
      octets.push(1, 1, 8, 10, ...word(near(val, this.below(3))), ...word(ecr));
    }
    if (this.oneIn(2)) return Uint8Array.from(octets);
    for (let count = 1 + this.below(4); count > 0; count--) octets.push(...this.#option(target));
    while (octets.length % 4 !== 0) octets.push(this.below(3));
    return Uint8Array.from(octets.slice(0, 40));
  }

  #option(target: Target | undefined): number[] {
    const edge = () => word(near(target?.ack ?? 0, this.below(200_000) - 100_000));
    switch (this.below(7)) {
      case 0:
        return [2, 4, this.below(256), this.below(256)];
      case 1:
        return [3, 3, this.below(256)];
      case 2:
        return [4, 2];
      case 3:
        return [
          8,
          10,
          ...word(this.oneIn(2) ? this.below(100_000) : this.below(2 ** 32)),
          ...word(this.below(100_000)),
        ];
      case 4: {
        const blocks = 1 + this.below(4);
        return [5, 2 + 8 * blocks, ...Array.from({ length: 2 * blocks }, edge).flat()];
      }
      case 5:
        return [this.below(256), this.below(48)];
      default:
        return [1];
    }
  }

  #datagram(v6: boolean): Uint8Array {
    const datagram = this.#octets(8 + this.below(600));
    put16(datagram, 2, this.oneIn(2) ? 53 : this.below(65_536));
    put16(datagram, 4, this.oneIn(4) ? this.below(700) : datagram.length);
    return this.#finish(v6, UDP, datagram, 6, 0);
  }

  /** Echo, errors about connections that exist, packet too big with any MTU. */
  #icmp(v6: boolean, target: Target | undefined): Uint8Array {
    const about = this.#tcp(v6, target).subarray(VIRTIO_HEADER_LEN);
    const reversed = this.oneIn(4) ? about : swapped(about, v6);
    const message = new Uint8Array(
      8 + (this.oneIn(3) ? this.below(64) : Math.min(reversed.length, 28 + this.below(60))),
    );
    if (!this.oneIn(3)) message.set(reversed.subarray(0, message.length - 8), 8);
    const types = v6 ? [1, 2, 3, 4, 128, 129, this.below(256)] : [3, 11, 12, 4, 8, 0, this.below(256)];
    message[0] = types[this.below(types.length)]!;
    message[1] = this.below(this.oneIn(4) ? 256 : 6);
    put32(message, 4, this.oneIn(2) ? this.below(2_000) : this.below(2 ** 32));
    return this.#finish(v6, v6 ? ICMPV6 : ICMP, message, 2, 0);
  }

  #fragment4(): Uint8Array {
    const frame = this.#finish(
      false,
      [TCP, UDP, ICMP][this.below(3)]!,
      this.#octets(8 * this.below(100) + this.below(9)),
      undefined,
      0,
    );
    const at = VIRTIO_HEADER_LEN;
    put16(frame, at + 4, this.below(50)); // identification: so that some belong together
    put16(frame, at + 6, (this.oneIn(2) ? 0x2000 : 0) | this.below(this.oneIn(8) ? 8192 : 64));
    put16(frame, at + 10, 0);
    put16(frame, at + 10, checksumOf(addWords(0, frame, at, at + 20)));
    return frame;
  }

  #extended(target: Target | undefined): Uint8Array {
    const inner = this.oneIn(2)
      ? this.#tcp(true, target).subarray(VIRTIO_HEADER_LEN + 40)
      : this.#octets(this.below(200));
    let body: Uint8Array = inner;
    let next = TCP;
    for (let count = 1 + this.below(this.oneIn(10) ? 40 : 3); count > 0; count--) {
      const header = this.#octets(8 * (1 + this.below(3)));
      header[0] = next;
      header[1] = this.oneIn(6) ? this.below(256) : header.length / 8 - 1;
      next = EXTENSIONS[this.below(EXTENSIONS.length)]!;
      if (next === FRAGMENT) {
        put16(header, 2, (this.below(this.oneIn(4) ? 8192 : 40) << 3) | this.below(2));
        put32(header, 4, this.below(20));
      }
      body = Buffer.concat([header, body]);
    }
    return this.#finish(true, next, body, undefined, 0);
  }

  #finish(v6: boolean, proto: number, body: Uint8Array, checksumAt: number | undefined, textLen: number): Uint8Array {
    const ipLen = v6 ? 40 : 20;
    const at = VIRTIO_HEADER_LEN;
    const frame = new Uint8Array(at + ipLen + body.length);
    frame.set(v6 ? NEAR6 : NEAR4, at + (v6 ? 8 : 12));
    frame.set(v6 ? FAR6 : FAR4, at + (v6 ? 24 : 16));
    if (v6) encodeIp6(frame, at, proto, body.length);
    else encodeIp4(frame, at, proto, ipLen + body.length);
    frame.set(body, at + ipLen);
    if (textLen > 1_460) {
      frame[1] = v6 ? 4 : 1;
      frame[4] = 0xb4;
      frame[5] = 0x05;
    }
    if (checksumAt === undefined || this.oneIn(30)) return frame;
    if (proto !== ICMP && proto !== ICMPV6 && !this.oneIn(8)) {
      frame[0] = 1 + this.below(2); // trusted, so that the deeper code gets work
      return frame;
    }
    const pseudo = proto === ICMP ? 0 : pseudoHeaderSum(frame, at + (v6 ? 8 : 12), v6 ? 16 : 4, proto, body.length);
    put16(frame, at + ipLen + checksumAt, 0);
    put16(frame, at + ipLen + checksumAt, checksumOf(addWords(pseudo, frame, at + ipLen, frame.length)));
    return frame;
  }
}

/** What the kernel once sent: `corpus/capture.ts` made it. */
export function corpus(): Uint8Array[] {
  const text = readFileSync(new URL("./corpus/frames.txt", import.meta.url), "utf8");
  return text
    .trim()
    .split("\n")
    .map((line) => Uint8Array.from(Buffer.from(line, "base64")));
}

function near(number: number, by: number): number {
  return (number + by) >>> 0;
}

function word(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

/** A packet as its receiver would quote it: from there to here. */
function swapped(packet: Uint8Array, v6: boolean): Uint8Array {
  const copy = packet.slice();
  const [from, len] = v6 ? [8, 16] : [12, 4];
  copy.set(packet.subarray(from + len, from + 2 * len), from);
  copy.set(packet.subarray(from, from + len), from + len);
  const ports = v6 ? 40 : 20;
  copy.set(packet.subarray(ports + 2, ports + 4), ports);
  copy.set(packet.subarray(ports, ports + 2), ports + 2);
  return copy;
}
