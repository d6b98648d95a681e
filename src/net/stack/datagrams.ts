import { assert, isMalformed } from "../../base/mod.ts";
import {
  addWords,
  decodeIcmp,
  decodeIp,
  decodeUdp,
  ICMP_HEADER_LEN,
  type IpPacket,
  icmp4,
  icmp6,
  isIcmpError,
  isIntact,
  protocol,
  pseudoHeaderSum,
  u32,
} from "../wire/mod.ts";
import { localOf, remoteOf, type Tuple, tupleOf } from "./flow-table.ts";
import type { FirstFragment } from "./fragments.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { addressesOf, IcmpErrors, packetHead, type UnreachableReason } from "./icmp-errors.ts";
import { type PathProblem, pathProblem } from "./icmp-input.ts";
import { UDP_PIECES } from "./limits.ts";
import type { Endpoint, StackOptions, UdpDatagram } from "./types.ts";

/** Everything but TCP: UDP to its handler, ping, and unreachable for the rest. */
export class Datagrams {
  readonly #o: StackOptions;
  readonly #writer: FrameWriter;
  readonly #errors: IcmpErrors;
  readonly #onProblem: (problem: PathProblem) => void;
  readonly #answers: DatagramAnswers = {
    reply: (tuple, payload) => this.send(tuple, payload),
    unreachable: (reason, tuple) => this.#unreachableLater(reason, tuple, protocol.UDP, 0),
  };

  /** `onProblem`: an ICMP error says that a segment of ours did not arrive. */
  constructor(options: StackOptions, writer: FrameWriter, onProblem: (problem: PathProblem) => void) {
    this.#o = options;
    this.#writer = writer;
    this.#errors = new IcmpErrors(writer);
    this.#onProblem = onProblem;
  }

  /**
   * A packet from one that we talk to, for an address of ours. Borrows `buf`.
   * `pieceLen`: it stands for several datagrams with so many octets each (UDP
   * segmentation offload); 0 for one.
   */
  input(buf: Uint8Array, ip: IpPacket, trusted: boolean, pieceLen: number): void {
    if (ip.protocol === protocol.UDP) this.#inputUdp(buf, ip, trusted, pieceLen);
    else if (ip.protocol === (ip.version === 4 ? protocol.ICMP : protocol.ICMPV6)) this.#inputIcmp(buf, ip, trusted);
    else this.#unreachable("protocol", buf, ip);
  }

  /** From the tuple's local endpoint to its remote one. */
  send(tuple: Tuple, payload: Uint8Array): void {
    if (!this.#writer.udp(tuple, payload)) this.#o.counters.count("udp.too-long");
  }

  #inputUdp(buf: Uint8Array, ip: IpPacket, trusted: boolean, pieceLen: number): void {
    const udp = decodeUdp(buf, ip.bodyAt, ip.end);
    if (isMalformed(udp)) {
      this.#o.counters.count(udp.malformed);
      return;
    }
    const end = udp.payloadAt + udp.payloadLen;
    const unchecked = udp.checksum === 0 && ip.version === 4;
    // IPv6 knows no datagrams without checksum (RFC 8200 §8.1).
    if (!trusted && !unchecked && (udp.checksum === 0 || !isIntact(sumWithPseudoHeader(buf, { ...ip, end })))) {
      this.#o.counters.count("udp.checksum");
      return;
    }
    if (pieceLen > 0 && udp.payloadLen > UDP_PIECES * pieceLen) {
      this.#o.counters.count("udp.pieces");
      return;
    }
    const tuple = tupleOf(buf, ip.addressesAt, ip.addressLen, ip.bodyAt);
    const step = pieceLen > 0 ? pieceLen : Math.max(1, end - udp.payloadAt);
    let at = udp.payloadAt;
    do {
      const payload = buf.subarray(at, Math.min(end, at + step));
      const datagram = new Datagram(tuple, payload, this.#answers);
      if (!this.#o.handlers.udp(datagram)) {
        this.#unreachable("port", buf, ip);
        return; // nobody listens: one answer for all of them
      }
      at += step;
    } while (at < end);
  }

  #inputIcmp(buf: Uint8Array, ip: IpPacket, trusted: boolean): void {
    const icmp = decodeIcmp(buf, ip.bodyAt, ip.end);
    if (isMalformed(icmp)) {
      this.#o.counters.count(icmp.malformed);
      return;
    }
    const sum = ip.version === 6 ? sumWithPseudoHeader(buf, ip) : addWords(0, buf, ip.bodyAt, ip.end);
    if (!trusted && !isIntact(sum)) {
      this.#o.counters.count("icmp.checksum");
      return;
    }
    if (isIcmpError(ip.version, icmp.type)) {
      const problem = pathProblem(buf, ip);
      if (problem === undefined) this.#o.counters.count("icmp.error-ignored");
      else this.#onProblem(problem);
      return;
    }
    if (icmp.type !== (ip.version === 4 ? icmp4.echoRequest : icmp6.echoRequest)) {
      this.#o.counters.count("icmp.ignored");
      return;
    }
    const { addressesAt: at, addressLen: len } = ip;
    if (!this.#o.handlers.echo(buf.slice(at + len, at + 2 * len))) {
      this.#unreachable("address", buf, ip);
      return;
    }
    const reply = ip.version === 4 ? icmp4.echoReply : icmp6.echoReply;
    const body = buf.subarray(ip.bodyAt + ICMP_HEADER_LEN, ip.end);
    this.#writer.icmp(addressesOf(buf, ip), reply, 0, u32(buf, ip.bodyAt + 4), body);
  }

  /** Time exceeded, for a datagram whose other fragments have not come. */
  incomplete(first: FirstFragment): void {
    const sent = this.#errors.send("reassembly", first.buf, first.ip, this.#o.clock.now());
    if (!sent) this.#o.counters.count("icmp.rate-limited");
  }

  /** Answers a SYN with this number. */
  tcpUnreachable(reason: "address" | "prohibited", tuple: Tuple, seq: number): void {
    this.#unreachableLater(reason, tuple, protocol.TCP, seq);
  }

  #unreachableLater(reason: "address" | "port" | "prohibited", tuple: Tuple, proto: number, second: number): void {
    const packet = packetHead(tuple, proto, second);
    const ip = decodeIp(packet, 0);
    assert(!isMalformed(ip), "a head of our own making");
    this.#unreachable(reason, packet, ip);
  }

  #unreachable(reason: UnreachableReason, buf: Uint8Array, ip: IpPacket): void {
    const sent = this.#errors.send(reason, buf, ip, this.#o.clock.now());
    this.#o.counters.count(sent ? `icmp.${reason}-unreachable` : "icmp.rate-limited");
  }
}

interface DatagramAnswers {
  reply(tuple: Tuple, payload: Uint8Array): void;
  unreachable(reason: "port" | "address" | "prohibited", tuple: Tuple): void;
}

/** Endpoints are cut out when somebody asks: a DNS query is answered without. */
class Datagram implements UdpDatagram {
  readonly payload: Uint8Array;
  readonly #tuple: Tuple;
  readonly #answers: DatagramAnswers;

  constructor(tuple: Tuple, payload: Uint8Array, answers: DatagramAnswers) {
    this.#tuple = tuple;
    this.payload = payload;
    this.#answers = answers;
  }

  get local(): Endpoint {
    return localOf(this.#tuple);
  }

  get remote(): Endpoint {
    return remoteOf(this.#tuple);
  }

  reply(payload: Uint8Array): void {
    this.#answers.reply(this.#tuple, payload);
  }

  unreachable(reason: "port" | "address" | "prohibited"): void {
    this.#answers.unreachable(reason, this.#tuple);
  }
}

/** Over the body, its own checksum field included. */
export function sumWithPseudoHeader(buf: Uint8Array, ip: IpPacket): number {
  const pseudo = pseudoHeaderSum(buf, ip.addressesAt, ip.addressLen, ip.protocol, ip.end - ip.bodyAt);
  return addWords(pseudo, buf, ip.bodyAt, ip.end);
}
