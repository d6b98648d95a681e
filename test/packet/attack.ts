import assert from "node:assert/strict";
import { type ByteStream, Counters, isMalformed, plainChunk, seededRandom } from "../../src/base/mod.ts";
import { Stack } from "../../src/net/stack/mod.ts";
import { ACK, decodeIp, decodeTcp, protocol, SYN, VIRTIO_HEADER_LEN } from "../../src/net/wire/mod.ts";
import { type VirtualClock, virtualClock } from "../../src/testkit/mod.ts";
import { corpus, HostileFrames, type Target } from "./hostile-frames.ts";

/** Connections that the attacker keeps in view. */
const TARGETS = 64;
/** The application behind the stack has no more connections than these; it resets the oldest. */
const APPLICATIONS = 400;
const BURST = 16;
/** So long after its last frame the stack has forgotten every attempt, fragment and TIME-WAIT. */
const FORGOTTEN_MS = 400_000;

/** A stack under attack, and the application behind it; time is virtual. */
export class Attack {
  readonly clock: VirtualClock = virtualClock();
  readonly counters = new Counters();
  readonly stack: Stack;
  readonly #frames: HostileFrames;
  #targets: Target[] = [];
  #streams: ByteStream[] = [];
  /** Frames that the stack holds. */
  held = 0;
  heldMax = 0;
  emitted = 0;
  accepted = 0;
  /** Octets that the application got. */
  taken = 0;
  /** Where emitted frames go once the attack is over. */
  divert: ((frame: Uint8Array) => void) | undefined;
  serve: ((stream: ByteStream) => void) | undefined;

  constructor(seed: number) {
    this.#frames = new HostileFrames(seed, corpus());
    this.stack = new Stack({
      clock: this.clock,
      random: seededRandom(seed),
      counters: this.counters,
      mtu: 1500,
      offload: { checksum: true, tso: true },
      emit: (frame) => this.#emitted(frame),
      isLocal: () => true,
      mayTalk: () => true,
      handlers: {
        tcp: (attempt) => {
          if (this.serve !== undefined) this.serve(attempt.accept());
          else if (this.#frames.oneIn(8)) attempt.refuse();
          else if (!this.#frames.oneIn(8)) this.#application(attempt.accept());
        },
        udp: () => !this.#frames.oneIn(2),
        echo: () => !this.#frames.oneIn(2),
      },
    });
  }

  /** Sends `count` frames. */
  run(count: number): void {
    const frames = this.#frames;
    for (let i = 0; i < count; i++) {
      const target = frames.oneIn(10) ? undefined : this.#targets[frames.below(this.#targets.length)];
      this.input(frames.next(target));
      if (i % BURST === 0) this.stack.drained();
      if (i % 64 === 0) {
        this.clock.advance(frames.below(40));
        this.heldMax = Math.max(this.heldMax, this.held);
      }
    }
    this.stack.drained();
  }

  input(bytes: Uint8Array): void {
    this.held++;
    let released = false;
    this.stack.input({
      bytes,
      release: () => {
        assert.ok(!released, "a frame was released twice");
        released = true;
        this.held--;
      },
    });
  }

  /** The attacker leaves, the application closes what is open, and time passes. */
  calm(): void {
    this.#targets = [];
    for (const stream of this.#streams.splice(0)) stream.reset("shutdown");
    for (let waited = 0; waited < FORGOTTEN_MS; waited += 1_000) this.clock.advance(1_000);
  }

  #application(stream: ByteStream): void {
    this.accepted++;
    this.#streams.push(stream);
    if (this.#streams.length > APPLICATIONS) this.#streams.shift()!.reset("shutdown");
    const frames = this.#frames;
    stream.open({
      data: (chunk) => {
        this.taken += chunk.bytes.length;
        chunk.release();
        if (!frames.oneIn(50)) stream.credit(frames.below(20_000));
        if (frames.oneIn(200)) stream.end();
      },
      end: () => stream.end(),
      reset: () => {},
      writable: (octets) => {
        if (frames.oneIn(3)) stream.write(plainChunk(new Uint8Array(1 + frames.below(Math.min(octets, 100_000)))));
      },
    });
    stream.credit(frames.below(100_000));
  }

  /** Learns from what the stack says, as an attacker on the path would. */
  #emitted(frame: Uint8Array): void {
    this.emitted++;
    if (this.divert !== undefined) {
      this.divert(frame);
      return;
    }
    const ip = decodeIp(frame, VIRTIO_HEADER_LEN);
    assert.ok(!isMalformed(ip), "the stack has sent something malformed");
    if (ip.protocol !== protocol.TCP) return;
    const seg = decodeTcp(frame, ip.bodyAt, ip.end);
    assert.ok(!isMalformed(seg), "the stack has sent a malformed segment");
    const v6 = ip.addressLen === 16;
    const known = this.#targets.find((target) => target.port === seg.dstPort && target.v6 === v6);
    const timestamps = seg.tsVal < 0 ? undefined : { val: seg.tsEcr, ecr: seg.tsVal };
    if (known !== undefined) {
      known.timestamps = timestamps ?? known.timestamps;
      if (seg.flags & ACK) known.seq = seg.ack;
      if (seg.textLen > 0) known.ack = (seg.seq + seg.textLen) >>> 0;
    } else if (seg.flags & SYN) {
      this.#targets.push({ v6, port: seg.dstPort, seq: seg.ack, ack: (seg.seq + 1) >>> 0, timestamps });
      if (this.#targets.length > TARGETS) this.#targets.shift();
    }
  }
}
