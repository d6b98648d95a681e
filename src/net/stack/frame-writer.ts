import type { ChunkQueue } from "../tcp/mod.ts";
import {
  addWords,
  checksumOf,
  encodeIcmp,
  encodeIp4,
  encodeIp6,
  encodeTcp,
  encodeTcpOptions,
  encodeUdp,
  encodeVirtio,
  FIN,
  fold,
  gsoType,
  ICMP_CHECKSUM_OFFSET,
  ICMP_HEADER_LEN,
  IP4_HEADER_LEN,
  IP6_HEADER_LEN,
  PSH,
  protocol,
  pseudoHeaderSum,
  put16,
  SummedMemory,
  TCP_CHECKSUM_OFFSET,
  TCP_HEADER_LEN,
  type TcpOptions,
  tcpOptionsLen,
  UDP_CHECKSUM_OFFSET,
  UDP_HEADER_LEN,
  u16,
  VIRTIO_HEADER_LEN,
  virtioFlag,
} from "../wire/mod.ts";
import type { Tuple } from "./flow-table.ts";
import { GATHERED_FROM, GATHERED_PIECE_LEN, GATHERED_PIECES, SUMMED_FROM } from "./limits.ts";
import type { StackOptions } from "./types.ts";

const IP_AT = VIRTIO_HEADER_LEN;
const PACKET_MAX = 65_535;
const FRAME_MAX = VIRTIO_HEADER_LEN + PACKET_MAX;

/** One segment to send. */
export interface OutgoingSegment extends TcpOptions {
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly wnd: number;
  /** Where the text is, if there is any. */
  readonly text: ChunkQueue | undefined;
  readonly textAt: number;
  readonly textLen: number;
  /** Text beyond this is for the device to segment. */
  readonly segmentLen: number;
}

type Emit = Pick<StackOptions, "emit" | "emitGathered">;

/**
 * Builds frames in one buffer and emits them. Checksums are complete, or the
 * pseudo-header's only where the device does the rest.
 */
export class FrameWriter {
  #frame: Uint8Array = new Uint8Array(FRAME_MAX);
  /** `#frame`, where checksums of long frames are ours to make. */
  #summed: SummedMemory | undefined;
  readonly #offloadChecksum: boolean;
  readonly #emit: Emit["emit"];
  readonly #emitGathered: Emit["emitGathered"];
  /** Where the text of the present segment lies. */
  readonly #text: Uint8Array[] = [];

  constructor(offloadChecksum: boolean, { emit, emitGathered }: Emit) {
    this.#offloadChecksum = offloadChecksum;
    this.#emit = emit;
    this.#emitGathered = offloadChecksum ? emitGathered : undefined; // to sum the text is to read it anyway
  }

  tcp(tuple: Tuple, seg: OutgoingSegment): void {
    if (!this.#offloadChecksum && this.#summed === undefined && seg.textLen >= SUMMED_FROM) {
      this.#summed = new SummedMemory(FRAME_MAX);
      this.#frame = this.#summed.bytes;
    }
    const frame = this.#frame;
    const ipLen = ipHeaderLen(tuple);
    const tcpAt = IP_AT + ipLen;
    const optionsLen = tcpOptionsLen(seg);
    const tcpLen = TCP_HEADER_LEN + optionsLen;
    const isBig = ipLen + tcpLen + seg.textLen > PACKET_MAX;
    const ports = tuple.length - 4;
    encodeTcp(
      frame,
      tcpAt,
      {
        srcPort: u16(tuple, ports + 2),
        dstPort: u16(tuple, ports),
        seq: seg.seq,
        ack: seg.ack,
        flags: seg.flags,
        wnd: seg.wnd,
      },
      tcpLen,
    );
    if (optionsLen > 0) encodeTcpOptions(frame, tcpAt + TCP_HEADER_LEN, seg);
    if (seg.textLen > 0) seg.text?.pieces(seg.textAt, seg.textLen, this.#text);
    const pieces = this.#text.length;
    const pays = seg.textLen >= Math.max(GATHERED_FROM, pieces * GATHERED_PIECE_LEN) && pieces < GATHERED_PIECES;
    const gathers = pays && this.#emitGathered !== undefined;
    if (!gathers && !isBig) this.#copyText(tcpAt + tcpLen);
    const gsoSize = seg.textLen > seg.segmentLen ? seg.segmentLen : 0;
    const taken =
      (gathers || !isBig) &&
      this.#finish(tuple, protocol.TCP, tcpLen + seg.textLen, TCP_CHECKSUM_OFFSET, ipLen + tcpLen, gsoSize);
    if (isBig && !taken) this.#tcpInParts(tuple, seg, PACKET_MAX - ipLen - tcpLen);
  }

  /** A super-segment too scattered to be emitted from where it lies, or for whose length the device had no memory. */
  #tcpInParts(tuple: Tuple, seg: OutgoingSegment, room: number): void {
    this.#text.length = 0;
    const partLen = room - (room % seg.segmentLen);
    for (let at = 0; at < seg.textLen; at += partLen) {
      const textLen = Math.min(partLen, seg.textLen - at);
      const isLast = at + textLen === seg.textLen;
      const flags = isLast ? seg.flags : seg.flags & ~(PSH | FIN);
      this.tcp(tuple, { ...seg, seq: (seg.seq + at) >>> 0, flags, textAt: seg.textAt + at, textLen });
    }
  }

  /** From the tuple's local endpoint to its remote one. False when it cannot fit one IP packet. */
  udp(tuple: Tuple, payload: Uint8Array): boolean {
    const length = UDP_HEADER_LEN + payload.length;
    const ipLen = ipHeaderLen(tuple);
    if (ipLen + length > 65_535) return false;
    const udpAt = IP_AT + ipLen;
    const ports = tuple.length - 4;
    encodeUdp(this.#frame, udpAt, u16(tuple, ports + 2), u16(tuple, ports), length);
    this.#frame.set(payload, udpAt + UDP_HEADER_LEN);
    this.#finish(tuple, protocol.UDP, length, UDP_CHECKSUM_OFFSET, ipLen + UDP_HEADER_LEN, 0);
    return true;
  }

  /** An ICMP message; `rest` is the header's second word, `body` what follows it. */
  icmp(tuple: Tuple, type: number, code: number, rest: number, body: Uint8Array): void {
    const frame = this.#frame;
    const at = IP_AT + ipHeaderLen(tuple);
    const length = ICMP_HEADER_LEN + body.length;
    encodeIcmp(frame, at, type, code, rest);
    frame.set(body, at + ICMP_HEADER_LEN);
    const v6 = tuple.length !== 12;
    const proto = v6 ? protocol.ICMPV6 : protocol.ICMP;
    this.#ip(tuple, proto, length);
    const pseudo = v6 ? pseudoHeaderSum(frame, IP_AT + 8, 16, proto, length) : 0;
    put16(frame, at + ICMP_CHECKSUM_OFFSET, checksumOf(addWords(pseudo, frame, at, at + length)));
    encodeVirtio(frame, NO_OFFLOAD);
    this.#emit(frame.subarray(0, at + length));
  }

  /** False: the device did not take it, as far as that is known. */
  #finish(
    tuple: Tuple,
    proto: number,
    length: number,
    checksumOffset: number,
    headersLen: number,
    gsoSize: number,
  ): boolean {
    const frame = this.#frame;
    const at = IP_AT + ipHeaderLen(tuple);
    this.#ip(tuple, proto, length);
    const v6 = tuple.length !== 12;
    const pseudo = pseudoHeaderSum(frame, IP_AT + (v6 ? 8 : 12), v6 ? 16 : 4, proto, length);
    if (this.#offloadChecksum) {
      put16(frame, at + checksumOffset, fold(pseudo));
      encodeVirtio(frame, {
        flags: virtioFlag.NEEDS_CSUM,
        gsoType: gsoSize === 0 ? gsoType.NONE : v6 ? gsoType.TCPV6 : gsoType.TCPV4,
        hdrLen: headersLen,
        gsoSize,
        csumStart: at - IP_AT,
        csumOffset: checksumOffset,
      });
    } else {
      const end = at + length;
      const sum = checksumOf(this.#summed?.addWords(pseudo, at, end) ?? addWords(pseudo, frame, at, end));
      // In UDP 0 means none (RFC 768); in TCP the two zeros are equal.
      put16(frame, at + checksumOffset, sum === 0 ? 0xffff : sum);
      encodeVirtio(frame, NO_OFFLOAD);
    }
    if (this.#text.length === 0) {
      this.#emit(frame.subarray(0, at + length));
      return true;
    }
    this.#text.unshift(frame.subarray(0, IP_AT + headersLen));
    const taken = this.#emitGathered?.(this.#text) === true;
    this.#text.length = 0;
    return taken;
  }

  /** Into the frame, behind the headers. */
  #copyText(at: number): void {
    for (const piece of this.#text) {
      this.#frame.set(piece, at);
      at += piece.length;
    }
    this.#text.length = 0;
  }

  #ip(tuple: Tuple, proto: number, length: number): void {
    const frame = this.#frame;
    if (tuple.length === 12) {
      copyWithin(tuple, 4, frame, IP_AT + 12, 4);
      copyWithin(tuple, 0, frame, IP_AT + 16, 4);
      encodeIp4(frame, IP_AT, proto, IP4_HEADER_LEN + length);
    } else {
      copyWithin(tuple, 16, frame, IP_AT + 8, 16);
      copyWithin(tuple, 0, frame, IP_AT + 24, 16);
      encodeIp6(frame, IP_AT, proto, length);
    }
  }
}

const NO_OFFLOAD = { flags: 0, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 };

function ipHeaderLen(tuple: Tuple): number {
  return tuple.length === 12 ? IP4_HEADER_LEN : IP6_HEADER_LEN;
}

/** For a few octets a loop is cheaper than a view. */
function copyWithin(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number, length: number): void {
  for (let i = 0; i < length; i++) to[toAt + i] = from[fromAt + i]!;
}
