import packet from "dns-packet";
import {
  type Chunk,
  Counters,
  concat,
  formatIp,
  type IpAddress,
  isMalformed,
  parseIp,
  seededRandom,
  systemClock,
} from "../base/mod.ts";
import { type Endpoint, Stack } from "../net/stack/mod.ts";
import {
  addWords,
  checksumOf,
  decodeIp,
  encodeIcmp,
  encodeIp4,
  ICMP_CHECKSUM_OFFSET,
  ICMP_HEADER_LEN,
  IP4_HEADER_LEN,
  type IpPacket,
  icmp4,
  icmp6,
  protocol,
} from "../net/wire/mod.ts";
import { type TunDevice, VNET_HEADER_LEN } from "../tun/mod.ts";
import { StreamUser, type StreamUserOptions } from "./stream-user.ts";

/** How long an answer may take before a test has failed. */
const PATIENCE_MS = 5_000;

export interface VirtualHostOptions {
  tun: TunDevice;
  /** The host's own addresses on the device, as text. */
  v4: string;
  v6: string;
  dnsV4: string;
  dnsV6: string;
}

export interface Lookup {
  readonly rcode: string;
  readonly addresses: string[];
  readonly authoritative: boolean;
}

/** A laptop without a kernel: a second stack at the other end of the device, with a resolver and sockets. */
export class VirtualHost {
  readonly counters = new Counters();
  /** ICMP destination unreachables that arrived, as `type/code`. */
  readonly unreachables: string[] = [];
  /** Sources of the echo replies that arrived. */
  readonly echoes: string[] = [];
  readonly #options: VirtualHostOptions;
  readonly #stack: Stack;
  readonly #waiting = new Map<number, (payload: Uint8Array) => void>();
  #port = 40_000;

  constructor(options: VirtualHostOptions) {
    this.#options = options;
    const { tun } = options;
    const own = new Set([options.v4, options.v6]);
    this.#stack = new Stack({
      clock: systemClock,
      random: seededRandom(9),
      counters: this.counters,
      mtu: tun.mtu,
      offload: tun.offload,
      emit: (frame) => void tun.write(frame),
      isLocal: (address) => own.has(formatIp(address)),
      mayTalk: () => true,
      handlers: {
        tcp: (attempt) => attempt.refuse(),
        udp: ({ local, payload }) => {
          this.#waiting.get(local.port)?.(payload.slice());
          return true;
        },
        echo: () => true,
      },
    });
    tun.start({
      receive: (frame) => this.#receive(frame),
      drained: () => this.#stack.drained(),
      failed: () => {},
    });
  }

  /** Rejects when the connection is refused. */
  async connect(address: string, port: number, options?: StreamUserOptions): Promise<StreamUser> {
    return new StreamUser(await this.#stack.connect(this.#local(address), { address: ip(address), port }), options);
  }

  /** Sends a datagram and waits for one back. */
  exchange(address: string, port: number, payload: Uint8Array): Promise<Uint8Array> {
    const local = this.#local(address);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no datagram from ${address}:${port}`)), PATIENCE_MS);
      this.#waiting.set(local.port, (reply) => {
        clearTimeout(timer);
        this.#waiting.delete(local.port);
        resolve(reply);
      });
      this.#stack.sendUdp(local, { address: ip(address), port }, payload);
    });
  }

  /** Sends a datagram to which nothing is expected. */
  send(address: string, port: number, payload: Uint8Array): void {
    this.#stack.sendUdp(this.#local(address), { address: ip(address), port }, payload);
  }

  /** Sends one echo request (IPv4); `from` forges its source. What comes back is in `echoes` or `unreachables`. */
  ping(address: string, from = this.#options.v4): void {
    const len = IP4_HEADER_LEN + ICMP_HEADER_LEN;
    const frame = new Uint8Array(VNET_HEADER_LEN + len);
    const icmp = VNET_HEADER_LEN + IP4_HEADER_LEN;
    frame.set(ip(from), VNET_HEADER_LEN + 12);
    frame.set(ip(address), VNET_HEADER_LEN + 16);
    encodeIp4(frame, VNET_HEADER_LEN, protocol.ICMP, len);
    encodeIcmp(frame, icmp, icmp4.echoRequest, 0, 0);
    const checksum = checksumOf(addWords(0, frame, icmp, frame.length));
    frame.set([checksum >> 8, checksum & 0xff], icmp + ICMP_CHECKSUM_OFFSET);
    this.#options.tun.write(frame);
  }

  /** Asks VNet's DNS server, over the family of the record unless told otherwise. */
  async lookup(name: string, type: "A" | "AAAA" | "PTR" = "A", transport: "udp" | "tcp" = "udp"): Promise<Lookup> {
    const server = type === "AAAA" ? this.#options.dnsV6 : this.#options.dnsV4;
    const query = packet.encode({ type: "query", id: this.#port & 0xffff, questions: [{ name, type }] });
    const reply = transport === "udp" ? await this.exchange(server, 53, query) : await this.#exchangeTcp(server, query);
    const decoded = packet.decode(Buffer.from(reply)) as packet.DecodedPacket & { rcode: string };
    const addresses = decoded.answers!.flatMap((answer) => (answer.type === type ? [String(answer.data)] : []));
    return { rcode: decoded.rcode, addresses, authoritative: decoded.flag_aa };
  }

  /** Looks a name up and connects to the address. */
  async dial(name: string, port: number, family: "A" | "AAAA" = "A", options?: StreamUserOptions): Promise<StreamUser> {
    const { rcode, addresses } = await this.lookup(name, family);
    if (addresses[0] === undefined) throw new Error(`${name} has no address (${rcode})`);
    return this.connect(addresses[0], port, options);
  }

  close(): void {
    this.#stack.close();
    this.#options.tun.close();
  }

  async #exchangeTcp(server: string, query: Uint8Array): Promise<Uint8Array> {
    const user = await this.connect(server, 53);
    user.send(concat(Uint8Array.of(query.length >> 8, query.length & 0xff), query));
    const [high, low] = await user.until(2);
    const reply = await user.until(2 + ((high! << 8) | low!));
    user.end();
    await user.closed;
    return reply.subarray(2);
  }

  #receive(frame: Chunk): void {
    const packet = decodeIp(frame.bytes, VNET_HEADER_LEN);
    if (!isMalformed(packet) && [protocol.ICMP, protocol.ICMPV6].some((icmp) => icmp === packet.protocol)) {
      this.#note(frame.bytes, packet);
    }
    this.#stack.input(frame);
  }

  #note(bytes: Uint8Array, { version, addressesAt, addressLen, bodyAt }: IpPacket): void {
    const [type, code] = bytes.subarray(bodyAt);
    const words = version === 4 ? icmp4 : icmp6;
    if (type === words.unreachable) this.unreachables.push(`${type}/${code}`);
    if (type === words.echoReply) this.echoes.push(formatIp(bytes.slice(addressesAt, addressesAt + addressLen)));
  }

  #local(remote: string): Endpoint {
    return { address: ip(remote.includes(":") ? this.#options.v6 : this.#options.v4), port: this.#port++ };
  }
}

function ip(text: string): IpAddress {
  const address = parseIp(text);
  if (isMalformed(address)) throw new Error(`not an address: ${text}`);
  return address;
}
