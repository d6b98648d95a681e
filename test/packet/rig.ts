import assert from "node:assert/strict";
import {
  type ByteStream,
  Counters,
  concat,
  encodeUtf8,
  type IpAddress,
  plainChunk,
  type ResetReason,
  seededRandom,
} from "../../src/base/mod.ts";
import {
  Stack,
  type StackHandlers,
  type StackOptions,
  type TcpAttempt,
  type UdpDatagram,
} from "../../src/net/stack/mod.ts";
import {
  ACK,
  addWords,
  checksumOf,
  decodeIp,
  decodeTcp,
  encodeIp4,
  encodeIp6,
  encodeTcp,
  encodeTcpOptions,
  FIN,
  isIntact,
  NO_OPTIONS,
  PSH,
  pseudoHeaderSum,
  put16,
  RST,
  SYN,
  tcpOptionsLen,
  u16,
  VIRTIO_HEADER_LEN,
} from "../../src/net/wire/mod.ts";
import { type VirtualClock, virtualClock } from "../../src/testkit/mod.ts";

export const CLIENT = Uint8Array.of(100, 64, 0, 1);
export const SERVER = Uint8Array.of(100, 64, 0, 9);
export const CLIENT6 = Uint8Array.from([0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
export const SERVER6 = Uint8Array.from([0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
export const CLIENT_PORT = 40_000;
export const SERVER_PORT = 5432;

const COMPARED = ["flags", "seq", "ack", "wnd", "mss", "windowScale", "tsVal", "tsEcr", "gsoSize", "gsoType"] as const;

const LETTERS = { F: FIN, S: SYN, R: RST, P: PSH, A: ACK } as const;

/** A segment in a script. Our stack's numbers count from its ISS, the peer's are absolute. */
export interface Scripted {
  flags: string;
  seq: number;
  ack?: number;
  wnd?: number;
  text?: string | Uint8Array;
  mss?: number;
  windowScale?: number;
  sackPermitted?: boolean;
  tsVal?: number;
  tsEcr?: number;
  /** Edges, counted from our stack's ISS. */
  sack?: number[];
}

/** What the peer's SYN offers, and its numbers. */
export interface PeerOptions {
  mss?: number;
  windowScale?: number;
  wnd?: number;
  irs?: number;
  sackPermitted?: boolean;
  tsVal?: number;
  /** Between SYN-ACK and its ACK. */
  rttMs?: number;
}

/** One segment that the stack has sent, as read from the frame. */
export interface Sent {
  flags: string;
  seq: number;
  ack: number;
  wnd: number;
  text: Uint8Array;
  mss: number | undefined;
  windowScale: number | undefined;
  sackPermitted: boolean;
  /** -1 without the option. */
  tsVal: number;
  tsEcr: number;
  /** As the peer counts. */
  sack: readonly number[] | undefined;
  gsoSize: number;
  gsoType: number;
}

export interface RigOptions {
  offload?: StackOptions["offload"];
  mtu?: number;
  v6?: boolean;
  keepAlive?: NonNullable<StackOptions["keepAlive"]>;
  userTimeoutMs?: number;
  /** Beside `emit`; the pieces are joined for the script. */
  emitGathered?: NonNullable<StackOptions["emitGathered"]>;
  turnEnd?: NonNullable<StackOptions["turnEnd"]>;
  handlers?: Partial<StackHandlers>;
  isLocal?: (address: IpAddress) => boolean;
  mayTalk?: (address: IpAddress) => boolean;
}

/** A stack whose peer is the script: every frame is written down by hand, and time stands still. */
/** A datagram for later: its payload is only lent to the handler. */
export function kept(datagram: UdpDatagram): UdpDatagram {
  return {
    payload: datagram.payload.slice(),
    local: datagram.local,
    remote: datagram.remote,
    reply: (payload) => datagram.reply(payload),
    unreachable: (reason) => datagram.unreachable(reason),
  };
}

export class Rig {
  readonly clock: VirtualClock = virtualClock();
  readonly counters = new Counters();
  readonly stack: Stack;
  readonly attempts: TcpAttempt[] = [];
  /** Raw frames that the stack has emitted and the script has not looked at. */
  readonly frames: Uint8Array[] = [];
  /** Learnt from the SYN or SYN-ACK that it sends. */
  iss: number | undefined;
  remote: IpAddress;
  local: IpAddress;
  port = CLIENT_PORT;
  framesHeld = 0;

  constructor(o: RigOptions = {}) {
    this.remote = o.v6 ? CLIENT6 : CLIENT;
    this.local = o.v6 ? SERVER6 : SERVER;
    this.stack = new Stack({
      clock: this.clock,
      random: seededRandom(1),
      counters: this.counters,
      mtu: o.mtu ?? 1500,
      offload: o.offload ?? { checksum: false, tso: false },
      emit: (frame) => void this.frames.push(frame.slice()),
      isLocal: o.isLocal ?? (() => true),
      mayTalk: o.mayTalk ?? (() => true),
      ...(o.keepAlive === undefined ? {} : { keepAlive: o.keepAlive }),
      ...(o.userTimeoutMs === undefined ? {} : { userTimeoutMs: o.userTimeoutMs }),
      ...(o.emitGathered === undefined
        ? {}
        : {
            emitGathered: (pieces) => {
              const taken = o.emitGathered!(pieces);
              if (taken) this.frames.push(concat(...pieces));
              return taken;
            },
          }),
      ...(o.turnEnd === undefined ? {} : { turnEnd: o.turnEnd }),
      handlers: {
        tcp: (attempt) => void this.attempts.push(attempt),
        udp: () => false,
        echo: () => true,
        ...o.handlers,
      },
    });
  }

  /** Sends a segment to the stack, followed by the end of the burst. */
  send(seg: Scripted): void {
    this.input(this.frame(seg));
    this.stack.drained();
  }

  input(bytes: Uint8Array): void {
    this.framesHeld++;
    let released = false;
    this.stack.input({
      bytes,
      release: () => {
        assert.ok(!released, "a frame was released twice");
        released = true;
        this.framesHeld--;
        bytes.fill(0xdd); // whoever reads it afterwards shall notice
      },
    });
  }

  /** The next segment is this one; what is not named may be anything. */
  expect(want: Partial<Omit<Sent, "text">> & { text?: string | Uint8Array; textLen?: number }): Sent {
    const frame = this.frames.shift();
    assert.ok(frame !== undefined, `expected ${JSON.stringify(want)}, but the stack is silent`);
    const got = this.read(frame);
    for (const key of COMPARED) {
      if (want[key] !== undefined) assert.equal(got[key], want[key], `${key} of ${describe(got)}`);
    }
    if ("sack" in want) assert.deepEqual(got.sack, want.sack, `SACK of ${describe(got)}`);
    if (want.text !== undefined) assert.deepEqual(got.text, bytesOf(want.text), describe(got));
    if (want.textLen !== undefined) assert.equal(got.text.length, want.textLen, describe(got));
    return got;
  }

  expectNothing(): void {
    assert.deepEqual(
      this.frames.map((frame) => describe(this.read(frame))),
      [],
    );
  }

  /** A connection that the peer opened with ISS 5000; the stack's next number is 1. */
  establish(o: PeerOptions = {}): Application {
    const irs = o.irs ?? 5000;
    this.send({
      flags: "S",
      seq: irs,
      wnd: 65_535,
      mss: o.mss ?? 1460,
      ...(o.windowScale === undefined ? {} : { windowScale: o.windowScale }),
      ...(o.sackPermitted ? { sackPermitted: true } : {}),
      ...(o.tsVal === undefined ? {} : { tsVal: o.tsVal }),
    });
    const stream = this.attempts.shift()!.accept();
    const { tsVal } = this.expect({ flags: "SA", seq: 0, ack: (irs + 1) >>> 0 });
    this.clock.advance(o.rttMs ?? 0);
    const stamp = o.tsVal === undefined ? {} : { tsVal: o.tsVal, tsEcr: tsVal };
    this.send({ flags: "A", seq: (irs + 1) >>> 0, ack: 1, wnd: o.wnd ?? 65_535, ...stamp });
    this.expectNothing();
    return new Application(stream);
  }

  frame(seg: Scripted): Uint8Array {
    const text = bytesOf(seg.text ?? "");
    const options = {
      ...NO_OPTIONS,
      mss: seg.mss,
      windowScale: seg.windowScale,
      sackPermitted: seg.sackPermitted ?? false,
      tsVal: seg.tsVal ?? -1,
      tsEcr: seg.tsEcr ?? 0,
      sack: seg.sack?.map((edge) => ((this.iss ?? 0) + edge) >>> 0),
    };
    const optionsLen = tcpOptionsLen(options);
    const body = new Uint8Array(20 + optionsLen + text.length);
    encodeTcp(
      body,
      0,
      {
        srcPort: this.port,
        dstPort: SERVER_PORT,
        seq: seg.seq >>> 0,
        ack: seg.ack === undefined ? 0 : ((this.iss ?? 0) + seg.ack) >>> 0,
        flags: [...seg.flags].reduce((bits, letter) => bits | LETTERS[letter as keyof typeof LETTERS], 0),
        wnd: seg.wnd ?? 65_535,
      },
      20 + optionsLen,
    );
    encodeTcpOptions(body, 20, options);
    body.set(text, 20 + optionsLen);
    return ipFrame(this.remote, this.local, 6, body, 16);
  }

  read(frame: Uint8Array): Sent {
    const ip = decodeIp(frame, VIRTIO_HEADER_LEN);
    assert.ok(!("malformed" in ip));
    const seg = decodeTcp(frame, ip.bodyAt, ip.end);
    assert.ok(!("malformed" in seg));
    assert.equal(ip.end, frame.length, "no octets beyond the packet");
    checkChecksum(frame, ip.addressesAt, ip.addressLen, ip.bodyAt, ip.end);
    if (seg.flags & SYN) this.iss = seg.seq;
    return {
      flags: Object.entries(LETTERS)
        .filter(([, bit]) => seg.flags & bit)
        .map(([letter]) => letter)
        .join(""),
      seq: (seg.seq - (this.iss ?? 0)) >>> 0,
      ack: seg.ack,
      wnd: seg.wnd,
      text: frame.slice(seg.textAt, seg.textAt + seg.textLen),
      mss: seg.mss,
      windowScale: seg.windowScale,
      sackPermitted: seg.sackPermitted,
      tsVal: seg.tsVal,
      tsEcr: seg.tsEcr,
      sack: seg.sack,
      gsoType: frame[1]!,
      gsoSize: frame[4]! | (frame[5]! << 8),
    };
  }
}

/** Complete, or prepared for the device: then the field holds the pseudo-header's sum. */
function checkChecksum(frame: Uint8Array, addressesAt: number, addressLen: number, at: number, end: number): void {
  const pseudo = pseudoHeaderSum(frame, addressesAt, addressLen, 6, end - at);
  if (frame[0] === 1) {
    assert.equal(frame[6]! | (frame[7]! << 8), at - VIRTIO_HEADER_LEN, "csum_start");
    assert.equal(frame[8], 16, "csum_offset");
    assert.equal(u16(frame, at + 16), (pseudo & 0xffff) + (pseudo >>> 16), "the pseudo-header's sum");
  } else {
    assert.ok(isIntact(addWords(pseudo, frame, at, end)), "checksum");
  }
}

/** A frame without offload: body with its checksum at `checksumAt`, behind an IP header. */
export function ipFrame(
  from: IpAddress,
  to: IpAddress,
  protocol: number,
  body: Uint8Array,
  checksumAt: number | undefined,
): Uint8Array {
  const v4 = from.length === 4;
  const ipLen = v4 ? 20 : 40;
  const frame = concat(new Uint8Array(VIRTIO_HEADER_LEN + ipLen), body);
  const at = VIRTIO_HEADER_LEN;
  const bodyAt = at + ipLen;
  frame.set(from, at + (v4 ? 12 : 8));
  frame.set(to, at + (v4 ? 16 : 24));
  if (v4) encodeIp4(frame, at, protocol, ipLen + body.length);
  else encodeIp6(frame, at, protocol, body.length);
  if (checksumAt !== undefined) {
    const pseudo = protocol === 1 ? 0 : pseudoHeaderSum(frame, at + (v4 ? 12 : 8), from.length, protocol, body.length);
    put16(frame, bodyAt + checksumAt, checksumOf(addWords(pseudo, frame, bodyAt, frame.length)));
  }
  return frame;
}

function bytesOf(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? encodeUtf8(text) : text;
}

function describe(sent: Sent): string {
  return `${sent.flags} seq ${sent.seq} ack ${sent.ack} wnd ${sent.wnd} text ${sent.text.length}`;
}

/** The consumer of a stream in a script: notes everything, grants credit when told. */
export class Application {
  readonly stream: ByteStream;
  readonly log: string[] = [];
  allowance = 0;
  received = new Uint8Array(0);
  /** Whether chunks are given back at once. */
  keep = false;
  kept: (() => void)[] = [];

  constructor(stream: ByteStream) {
    this.stream = stream;
    stream.open({
      data: (chunk) => {
        this.received = concat(this.received, chunk.bytes) as Uint8Array<ArrayBuffer>;
        if (this.keep) this.kept.push(() => chunk.release());
        else chunk.release();
      },
      end: () => void this.log.push("end"),
      reset: (reason: ResetReason) => void this.log.push(`reset ${reason}`),
      writable: (octets) => {
        this.allowance += octets;
      },
    });
  }

  /** After `open` the stream may speak in the next turn. */
  async ready(): Promise<this> {
    await Promise.resolve();
    return this;
  }

  get text(): string {
    return new TextDecoder().decode(this.received);
  }

  write(text: string | Uint8Array): void {
    const bytes = bytesOf(text).slice();
    this.stream.write(plainChunk(bytes));
  }
}
