import { type ByteStream, type Chunk, formatIp, isMalformed, plainChunk, type Timer } from "../../base/mod.ts";
import { limits, narrow, openActive, type TcbOptions } from "../tcp/mod.ts";
import {
  ACK,
  decodeIp,
  decodeTcp,
  decodeVirtio,
  FIN,
  gsoType,
  IP4_HEADER_LEN,
  IP6_HEADER_LEN,
  type IpPacket,
  isIntact,
  isUnicast,
  NO_OPTIONS,
  protocol,
  RST,
  SYN,
  TCP_HEADER_LEN,
  type TcpSegment,
  VIRTIO_HEADER_LEN,
  virtioFlag,
} from "../wire/mod.ts";
import { Attempt } from "./attempt.ts";
import { Connection } from "./connection.ts";
import { Datagrams, sumWithPseudoHeader } from "./datagrams.ts";
import { Deadlines } from "./deadlines.ts";
import {
  AddressInUseError,
  ConnectionRefusedError,
  ConnectTimeoutError,
  NotUnicastError,
  StackClosedError,
} from "./errors.ts";
import { type Flow, FlowTable, makeTuple, type Tuple, tupleOf, versionOf } from "./flow-table.ts";
import { Fragments } from "./fragments.ts";
import { FrameWriter } from "./frame-writer.ts";
import type { Flushable, Host } from "./host.ts";
import type { PathProblem } from "./icmp-input.ts";
import { type InitialNumbers, isnGenerator } from "./isn.ts";
import { ATTEMPTS, CHALLENGE_ACKS_PER_SECOND, CONNECTIONS, COPY_BELOW, HALF_OPEN, TIME_WAITS } from "./limits.ts";
import { RateLimit } from "./rate-limit.ts";
import { SendShare } from "./send-share.ts";
import { TimeWait } from "./time-wait.ts";
import type { Endpoint, StackOptions } from "./types.ts";

export class Stack {
  readonly #o: StackOptions;
  readonly #writer: FrameWriter;
  readonly #deadlines: Deadlines;
  readonly #flows: FlowTable;
  readonly #datagrams: Datagrams;
  readonly #fragments: Fragments;
  readonly #challenges = new RateLimit(CHALLENGE_ACKS_PER_SECOND);
  readonly #isn: (tuple: Tuple, now: number) => InitialNumbers;
  readonly #maxConnections: number;
  readonly #host: Host;
  /** Lent to `mayTalk` and `isLocal`: a view for each packet costs more than what they do with it. */
  readonly #address4 = new Uint8Array(4);
  readonly #address6 = new Uint8Array(16);
  /** Those with something to send at the end of the burst. */
  #marked: Flushable[] = [];
  #flushTimer: Timer | undefined;
  #inBurst = false;
  #awaitsTurnEnd = false;
  #closed = false;
  #attempts = 0;
  #connections = 0;
  /** In the order of their coming, as the next; the oldest makes room. */
  readonly #halfOpen = new Set<Connection>();
  readonly #timeWaits = new Set<TimeWait>();

  constructor(options: StackOptions) {
    this.#o = options;
    this.#maxConnections = options.maxConnections ?? CONNECTIONS;
    this.#writer = new FrameWriter(options.offload.checksum, options);
    this.#deadlines = new Deadlines(options.clock);
    this.#flows = new FlowTable(options.random);
    this.#datagrams = new Datagrams(options, this.#writer, (problem) => this.#problem(problem));
    this.#fragments = new Fragments(this.#deadlines, (first) => {
      options.counters.count("ip.fragment-timeout");
      if (first !== undefined) this.#datagrams.incomplete(first);
    });
    this.#isn = isnGenerator(options.random);
    this.#host = this.#makeHost();
  }

  /** Takes ownership of the frame; delivered chunks alias it until they are released. */
  input(frame: Chunk): void {
    if (this.#closed) {
      frame.release();
      return;
    }
    this.#inBurst = true;
    const buf = frame.bytes;
    const virtio = decodeVirtio(buf);
    if (isMalformed(virtio)) {
      this.#drop(frame, virtio.malformed);
      return;
    }
    const ip = decodeIp(buf, VIRTIO_HEADER_LEN);
    if (isMalformed(ip)) {
      this.#drop(frame, ip.malformed);
      return;
    }
    if (ip.fragmentAt !== 0) {
      this.#inputFragment(frame, ip);
      return;
    }
    // A checksum that the device has verified, or that was never made because no wire was crossed.
    const trusted = (virtio.flags & (virtioFlag.NEEDS_CSUM | virtioFlag.DATA_VALID)) !== 0;
    if (ip.protocol === protocol.TCP) this.#inputTcp(frame, ip, trusted);
    else {
      const pieceLen = virtio.gsoType === gsoType.UDP_L4 ? virtio.gsoSize : 0;
      if (this.#isForUs(buf, ip)) this.#datagrams.input(buf, ip, trusted, pieceLen);
      frame.release();
    }
  }

  /** The end of a burst of input: acknowledgements and replies are sent now. */
  drained(): void {
    this.#inBurst = false;
    if (this.#marked.length === 0) return;
    const marked = this.#marked;
    this.#marked = [];
    const now = this.#o.clock.now();
    for (const flow of marked) {
      flow.marked = false;
      flow.flush(now);
    }
  }

  /** Active open. Rejects with an `OperationError` of this folder. */
  connect(local: Endpoint, remote: Endpoint): Promise<ByteStream> {
    const tuple = makeTuple(remote, local);
    const remoteText = `${formatIp(remote.address)} port ${remote.port}`;
    if (this.#closed) return Promise.reject(new StackClosedError());
    if (!isUnicast(remote.address, 0, remote.address.length)) return Promise.reject(new NotUnicastError(remoteText));
    if (this.#flows.get(tuple) !== undefined || this.#connections >= this.#maxConnections) {
      return Promise.reject(new AddressInUseError(`${formatIp(local.address)} port ${local.port}`, remoteText));
    }
    return new Promise((resolve, reject) => {
      const connection: Connection = new Connection(
        this.#host,
        tuple,
        openActive(this.#tcbOptions(tuple)),
        (failure) => {
          if (failure === undefined) resolve(connection);
          else if (failure === "timeout") reject(new ConnectTimeoutError(remoteText));
          else if (failure === "shutdown") reject(new StackClosedError());
          else reject(new ConnectionRefusedError(remoteText));
        },
      );
      this.#add(connection);
      connection.flush(this.#o.clock.now());
    });
  }

  /** Sends one datagram, unfragmented; dropped and counted when it does not fit one packet. */
  sendUdp(local: Endpoint, remote: Endpoint, payload: Uint8Array): void {
    if (!this.#closed) this.#datagrams.send(makeTuple(remote, local), payload);
  }

  /** Open connections; attempts and TIME-WAIT are not counted. */
  get connections(): number {
    return this.#connections;
  }

  /** RST to all; consumers are told `reset("shutdown")`, pending `connect`s reject. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const flow of this.#flows.all()) flow.shutdown();
    this.#deadlines.close();
    this.#flushTimer?.cancel();
    this.#flushTimer = undefined;
    this.#marked = [];
  }

  #makeHost(): Host {
    const inBurst = () => this.#inBurst;
    return {
      writer: this.#writer,
      deadlines: this.#deadlines,
      sendShare: new SendShare(),
      get inBurst() {
        return inBurst();
      },
      now: () => this.#o.clock.now(),
      mark: (flow) => this.#mark(flow),
      markForTurnEnd: (flow) => this.#markForTurnEnd(flow),
      mayChallenge: (now) => this.#challenges.allow(now),
      count: (name) => this.#o.counters.count(name),
      replace: (old, next) => {
        if (!this.#flows.remove(old)) return;
        this.#tally(old, -1);
        if (next !== undefined) this.#add(next);
      },
      established: (connection) => void this.#halfOpen.delete(connection as Connection),
      reject: (tuple, seg, textLen) => this.#reject(tuple, seg, textLen),
      unreachable: (reason, tuple, { seq }) => this.#datagrams.tcpUnreachable(reason, tuple, seq),
    };
  }

  #mark(flow: Flushable): void {
    if (flow.marked || this.#closed) return;
    flow.marked = true;
    this.#marked.push(flow);
    // Should no end of a burst come: one timer for all.
    this.#flushTimer ??= this.#o.clock.after(limits.DELAYED_ACK_MS, () => {
      this.#flushTimer = undefined;
      this.drained();
    });
  }

  #markForTurnEnd(flow: Flushable): boolean {
    if (this.#o.turnEnd === undefined) return false;
    this.#mark(flow);
    if (this.#awaitsTurnEnd) return true;
    this.#awaitsTurnEnd = true;
    this.#o.turnEnd(() => {
      this.#awaitsTurnEnd = false;
      this.drained();
    });
    return true;
  }

  #drop(frame: Chunk, reason: string): void {
    this.#o.counters.count(reason);
    frame.release();
  }

  #isForUs(buf: Uint8Array, ip: IpPacket): boolean {
    const address = ip.version === 4 ? this.#address4 : this.#address6;
    const { addressesAt: at, addressLen: len } = ip;
    if (!isUnicast(buf, at, len) || !isUnicast(buf, at + len, len)) {
      this.#o.counters.count("ip.not-unicast");
      return false;
    }
    if (!this.#o.mayTalk(fill(address, buf, at))) {
      this.#o.counters.count("ip.source-refused");
      return false;
    }
    if (!this.#o.isLocal(fill(address, buf, at + len))) {
      this.#o.counters.count("ip.not-local");
      return false;
    }
    return true;
  }

  #inputFragment(frame: Chunk, ip: IpPacket): void {
    const buf = frame.bytes;
    const result = this.#isForUs(buf, ip) ? this.#fragments.take(buf, ip, this.#o.clock.now()) : "waits";
    frame.release();
    if (result === "refused") this.#o.counters.count("ip.fragment-refused");
    if (typeof result !== "string") this.input(plainChunk(result));
  }

  /** What ICMP says of a segment of ours; forged ones must at least guess a number in flight (RFC 5927 §4.1). */
  #problem(problem: PathProblem): void {
    const flow = this.#flows.get(problem.tuple);
    const taken = flow instanceof Connection && flow.problem(problem, this.#o.clock.now());
    this.#o.counters.count(taken ? `icmp.told-${problem.kind}` : "icmp.error-ignored");
  }

  #inputTcp(frame: Chunk, ip: IpPacket, trusted: boolean): void {
    const buf = frame.bytes;
    const seg = decodeTcp(buf, ip.bodyAt, ip.end);
    if (isMalformed(seg)) {
      this.#drop(frame, seg.malformed);
      return;
    }
    if (!trusted && !isIntact(sumWithPseudoHeader(buf, ip))) {
      this.#drop(frame, "tcp.checksum");
      return;
    }
    let flow = this.#flows.find(buf, ip.addressesAt, ip.addressLen, ip.bodyAt);
    if ((seg.flags & (SYN | ACK)) === SYN && flow !== undefined) flow = this.#makeWay(flow, seg);
    if (flow === undefined) {
      if (this.#isForUs(buf, ip)) this.#inputUnknown(buf, ip, seg);
      frame.release();
      return;
    }
    if (seg.textLen === 0) {
      frame.release();
      flow.segment(seg, undefined, this.#o.clock.now());
    } else {
      flow.segment(seg, takeText(frame, seg), this.#o.clock.now());
    }
  }

  /** A SYN may end what occupies its endpoints; `undefined` then. */
  #makeWay(flow: Flow, seg: TcpSegment): Flow | undefined {
    if (flow instanceof TimeWait && flow.makesWayFor(seg)) {
      flow.shutdown();
      return undefined;
    }
    if (flow instanceof Attempt && flow.makesWayFor(seg)) {
      flow.abandon();
      return undefined;
    }
    return flow;
  }

  /** RFC 9293 §3.10.7.2: as if we listened everywhere; and §3.10.7.1 for the rest. */
  #inputUnknown(buf: Uint8Array, ip: IpPacket, seg: TcpSegment): void {
    const tuple = tupleOf(buf, ip.addressesAt, ip.addressLen, ip.bodyAt);
    if ((seg.flags & (SYN | ACK | RST | FIN)) !== SYN || seg.srcPort === 0 || seg.dstPort === 0) {
      this.#reject(tuple, seg, seg.textLen);
      return;
    }
    if (this.#attempts >= ATTEMPTS) {
      this.#o.counters.count("tcp.attempts-full");
      return;
    }
    if (this.#connections >= this.#maxConnections) {
      this.#o.counters.count("tcp.connections-full");
      this.#reject(tuple, seg, seg.textLen);
      return;
    }
    const attempt = new Attempt(this.#host, tuple, seg, () => this.#tcbOptions(tuple));
    this.#add(attempt);
    this.#o.handlers.tcp(attempt);
  }

  #reject(tuple: Tuple, seg: Pick<TcpSegment, "seq" | "ack" | "flags">, textLen: number): void {
    if (seg.flags & RST) return;
    this.#o.counters.count("tcp.rst-sent");
    const hasAck = (seg.flags & ACK) !== 0;
    const segLen = textLen + (seg.flags & SYN ? 1 : 0) + (seg.flags & FIN ? 1 : 0);
    this.#writer.tcp(tuple, {
      seq: hasAck ? seg.ack : 0,
      ack: hasAck ? 0 : (seg.seq + segLen) >>> 0,
      flags: hasAck ? RST : RST | ACK,
      wnd: 0,
      ...NO_OPTIONS,
      text: undefined,
      textAt: 0,
      textLen: 0,
      segmentLen: 0,
    });
  }

  #tcbOptions(tuple: Tuple): TcbOptions {
    const version = versionOf(tuple);
    const headers = (version === 4 ? IP4_HEADER_LEN : IP6_HEADER_LEN) + TCP_HEADER_LEN;
    const mssLocal = this.#o.mtu - headers;
    const now = this.#o.clock.now();
    return {
      ipVersion: version,
      ...this.#isn(tuple, now),
      mssLocal,
      userTimeoutMs: this.#o.userTimeoutMs ?? limits.USER_TIMEOUT_MS,
      keepAlive: this.#o.keepAlive,
      frameRoom: this.#o.offload.tso ? this.#longestPacket(version) - headers : 0,
      now,
    };
  }

  #longestPacket(version: 4 | 6): number {
    const mayBeBig = version === 4 && this.#o.offload.bigTcp && this.#o.emitGathered !== undefined;
    return mayBeBig ? limits.BIG_PACKET_LEN : limits.MAX_PACKET_LEN;
  }

  #add(flow: Flow): void {
    this.#flows.add(flow);
    this.#tally(flow, 1);
  }

  #addHalfOpen(connection: Connection): void {
    this.#halfOpen.add(connection);
    if (this.#halfOpen.size <= HALF_OPEN) return;
    const [oldest] = this.#halfOpen;
    oldest?.evict();
  }

  #tally(flow: Flow, by: 1 | -1): void {
    if (flow instanceof Connection) {
      this.#connections += by;
      if (by < 0) this.#halfOpen.delete(flow);
      else if (flow.isHalfOpen) this.#addHalfOpen(flow);
    } else if (flow instanceof Attempt) this.#attempts += by;
    else if (flow instanceof TimeWait) {
      if (by < 0) {
        this.#timeWaits.delete(flow);
        return;
      }
      this.#timeWaits.add(flow);
      if (this.#timeWaits.size <= TIME_WAITS) return;
      const [oldest] = this.#timeWaits;
      oldest?.shutdown();
    }
  }
}

/** The text of a segment, in its frame's place. */
function takeText(frame: Chunk, { textAt, textLen }: TcpSegment): Chunk {
  if (textLen >= COPY_BELOW) return narrow(frame, textAt, textAt + textLen);
  const text = plainChunk(frame.bytes.slice(textAt, textAt + textLen));
  frame.release();
  return text;
}

function fill(address: Uint8Array, buf: Uint8Array, at: number): Uint8Array {
  for (let i = 0; i < address.length; i++) address[i] = buf[at + i]!;
  return address;
}
