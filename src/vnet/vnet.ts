import {
  type ByteStream,
  type Cidr,
  type Clock,
  Counters,
  formatCidr,
  type IpAddress,
  type Logger,
  messageOf,
  type Random,
  splice,
} from "../base/mod.ts";
import { type Answer, DnsServer, type Forwarder, type Reply, serveDnsStream } from "../dns/mod.ts";
import { Stack, type TcpAttempt, type UdpDatagram } from "../net/stack/mod.ts";
import type { TunDevice } from "../tun/mod.ts";
import type { AddressStore } from "./address-file.ts";
import { parseRange, usableRanges, type VnetAddresses } from "./addresses.ts";
import { Assignments } from "./assignments.ts";
import { dialWithin } from "./dialing.ts";
import type { ClusterView, Directory } from "./directory.ts";
import { MAX_DIALS_PER_NAME, MAX_DNS_STREAMS } from "./limits.ts";
import { OwnAddresses } from "./own-addresses.ts";
import { describePorts, offersPort } from "./ports.ts";
import { isProbe } from "./probe.ts";
import { RefusalLog } from "./refusals.ts";
import { type AppTraffic, type Connection, type OpenConnection, Traffic } from "./traffic.ts";
import { expiredOf, type NameTable, type Target, tableOf } from "./zones.ts";

const DNS_PORT = 53;

/** Octets of an IPv6 and a UDP header: what a DNS reply's packet needs besides the reply. */
const DATAGRAM_OVERHEAD = 48;

export interface VNetOptions {
  /** Stays the caller's: VNet starts it, and no longer answers it after `close`. */
  tun: TunDevice;
  directory: Directory;
  addresses: VnetAddresses;
  /** For names that are not ours. Closed by VNet's `close`. */
  upstreams: Forwarder;
  clock: Clock;
  random: Random;
  log: Logger;
  counters?: Counters;
  /** Takes what goes to addresses that are not VNet's; without it such packets are dropped. Closed by `close`. */
  outside?: Outside;
  /** Where addresses are kept from run to run. */
  store?: AddressStore;
  /** `false` where the host has no IPv6: names get IPv4 addresses only. */
  ipv6?: boolean;
}

/** The network beyond VNet, or what says that there is none. */
export interface Outside {
  tcp(attempt: TcpAttempt): void;
  /** `false`: nobody listens there. */
  udp(datagram: UdpDatagram): boolean;
  close(): void;
}

export interface VNetStats {
  readonly connections: {
    /** Spliced at this moment. */
    readonly open: number;
    readonly dialing: number;
    /** Spliced since the start. */
    readonly total: number;
    readonly refused: number;
  };
  /** Octets of application data from the host to apps, and back. */
  readonly toApps: number;
  readonly fromApps: number;
  /** By name, of those that were used since the start. */
  readonly apps: readonly AppTraffic[];
  readonly open: readonly OpenConnection[];
  readonly names: readonly { host: string; v4: string; v6: string }[];
  readonly counters: Readonly<Record<string, number>>;
}

/** One running VNet: a TUN device on one side, a directory of clusters on the other. */
export class VNet {
  readonly counters: Counters;
  readonly #options: VNetOptions;
  readonly #stack: Stack;
  readonly #dns: DnsServer;
  readonly #assignments: Assignments;
  readonly #refusals: RefusalLog;
  readonly #own: OwnAddresses;
  readonly #end = new AbortController();
  /** Each with the name that it is for. */
  readonly #dials = new Map<Promise<void>, string>();
  readonly #traffic = new Traffic();
  readonly #dnsStreams = new Set<ByteStream>();
  readonly #unsubscribe: () => void;
  #names: NameTable = () => undefined;
  #expired: (host: string) => ClusterView | undefined = () => undefined;
  #ranges: readonly string[];
  /** Of each cluster, where it is one that can be used. */
  #rangeOf: ReadonlyMap<ClusterView, Cidr | undefined> = new Map();
  #fail: (error: Error) => void = () => {};

  constructor(options: VNetOptions) {
    this.#options = options;
    this.counters = options.counters ?? new Counters();
    const { clock, random, log, tun } = options;
    this.#own = new OwnAddresses(options.addresses);
    this.#ranges = options.addresses.ranges;
    const { tunV4, tunV6, dnsV4 } = this.#own;
    const { store } = options;
    this.#assignments = new Assignments({
      v6Prefix: tunV6,
      reserved: [tunV4, dnsV4],
      random,
      clock,
      saved: store?.names ?? [],
      changed: () => store?.changed(() => this.#assignments.save()),
    });
    this.#refusals = new RefusalLog(log, clock);
    this.#dns = new DnsServer({
      resolve: (host) => this.#resolve(host),
      hostAt: (address) => this.#servedHostAt(address),
      upstream: options.upstreams,
      forbidden: (address) => this.#isOurs(address),
      maxUdpLen: tun.mtu - DATAGRAM_OVERHEAD,
      clock,
      counters: this.counters,
      log,
    });
    this.#stack = new Stack({
      clock,
      random,
      counters: this.counters,
      mtu: tun.mtu,
      offload: tun.offload,
      turnEnd: (run) => void setImmediate(run),
      emit: (frame) => {
        if (!tun.write(frame)) this.counters.count("vnet.frame-not-taken");
      },
      emitGathered: (pieces) => {
        const taken = tun.writeGathered(pieces);
        if (!taken) this.counters.count("vnet.frame-not-taken");
        return taken;
      },
      isLocal: (address) => (options.outside !== undefined || this.#isOurs(address)) && !this.#own.isTun(address),
      mayTalk: (source) => this.#own.isTun(source),
      handlers: {
        tcp: (attempt) => this.#tcp(attempt),
        udp: (datagram) => this.#udp(datagram),
        echo: (address) => this.#own.isDns(address) || this.#assignments.hostAt(address) !== undefined,
      },
    });
    this.#refresh();
    this.#unsubscribe = options.directory.onChange(() => this.#refresh());
  }

  /** Serves until `close` or the signal; rejects when the device vanishes. Call once. Nothing is left when it returns. */
  async run(signal?: AbortSignal): Promise<void> {
    const stop = () => void this.close();
    const ended = new Promise<void>((resolve, reject) => {
      this.#end.signal.addEventListener("abort", () => resolve());
      if (this.#end.signal.aborted) resolve();
      this.#fail = reject;
    });
    this.#options.tun.start({
      receive: (frame) => {
        if (this.#end.signal.aborted) frame.release();
        else this.#stack.input(frame);
      },
      drained: () => {
        if (!this.#end.signal.aborted) this.#stack.drained();
      },
      failed: (error) => this.#fail(error),
    });
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
    try {
      await ended;
    } finally {
      signal?.removeEventListener("abort", stop);
      await this.close();
    }
  }

  /** Resets every connection and gives up every attempt. */
  async close(): Promise<void> {
    if (!this.#end.signal.aborted) {
      this.#unsubscribe();
      this.#end.abort(new Error("VNet is ending"));
      this.#options.upstreams.close();
      this.#options.outside?.close();
      for (const connection of [...this.#traffic.open]) {
        connection.local.reset("shutdown");
        connection.remote.reset("shutdown");
        this.#traffic.end(connection);
      }
      for (const stream of this.#dnsStreams) stream.reset("shutdown");
      this.#dnsStreams.clear();
    }
    await Promise.all(this.#dials.keys());
    this.#stack.close();
  }

  stats(): VNetStats {
    const { open, total, refused, toApps, fromApps } = this.#traffic.sums();
    return {
      connections: { open, dialing: this.#dials.size, total, refused },
      toApps,
      fromApps,
      apps: this.#traffic.apps(),
      open: this.#traffic.connections(),
      names: this.#assignments.list(),
      counters: this.counters.snapshot(),
    };
  }

  /** New names are served and new ranges answered at once; open connections and former ranges stay as they are. */
  #refresh(): void {
    const clusters = this.#options.directory.clusters();
    const ranges = usableRanges(clusters, this.#ranges);
    this.#names = tableOf(clusters);
    this.#expired = expiredOf(clusters);
    this.#rangeOf = new Map(clusters.map((cluster) => [cluster, parseRange(cluster.ipv4Cidr)]));
    this.#ranges = ranges.map(formatCidr);
    this.#own.setRanges(ranges);
    this.#assignments.retain((host) => this.#names(host) !== undefined);
  }

  #resolve(host: string): Answer {
    if (isProbe(host)) return this.#probed();
    const target = this.#names(host);
    const expired = target ? target.cluster.loginExpired && target.cluster : this.#expired(host);
    if (expired) this.#options.directory.needsLogin?.(expired);
    if (!target) return { kind: "forward" };
    const range = this.#rangeOf.get(target.cluster);
    if (!range) return { kind: "fail", reason: `${target.cluster.ipv4Cidr} is not an IPv4 range that VNet can use` };
    const assignment = this.#assignments.assign(host, range);
    if (!assignment) return { kind: "fail", reason: `every address of ${target.cluster.ipv4Cidr} is taken` };
    return this.#options.ipv6 === false
      ? { kind: "addresses", v4: assignment.v4 }
      : { kind: "addresses", v4: assignment.v4, v6: assignment.v6 };
  }

  /** What anybody asks who wants to know whether questions come here. */
  #probed(): Answer {
    this.counters.count("vnet.probes");
    const { dnsV4, dnsV6 } = this.#own;
    return this.#options.ipv6 === false
      ? { kind: "addresses", v4: dnsV4 }
      : { kind: "addresses", v4: dnsV4, v6: dnsV6 };
  }

  #servedHostAt(address: IpAddress): string | undefined {
    const host = this.#assignments.hostAt(address);
    return host !== undefined && this.#names(host) ? host : undefined;
  }

  /** In a range that leads to VNet. */
  #isOurs(address: IpAddress): boolean {
    return this.#own.has(address);
  }

  #udp(datagram: UdpDatagram): boolean {
    const { local, payload } = datagram;
    const { outside } = this.#options;
    if (outside && !this.#isOurs(local.address)) return outside.udp(datagram);
    if (local.port !== DNS_PORT || !this.#own.isDns(local.address)) {
      this.counters.count("vnet.udp-refused");
      return false;
    }
    const answer = this.#dns.handle(payload, "udp");
    if (answer instanceof Promise) void answer.then((late) => this.#replyTo(datagram, late));
    else this.#replyTo(datagram, answer);
    return true;
  }

  #replyTo(datagram: UdpDatagram, answer: Reply): void {
    if (answer && !this.#end.signal.aborted) datagram.reply(answer);
  }

  #tcp(attempt: TcpAttempt): void {
    const { address, port } = attempt.local;
    const { outside } = this.#options;
    if (outside && !this.#isOurs(address)) {
      outside.tcp(attempt);
      return;
    }
    if (this.#own.isDns(address)) {
      this.#dnsStream(attempt);
      return;
    }
    const host = this.#assignments.hostAt(address);
    const target = host === undefined ? undefined : this.#names(host);
    if (host === undefined) {
      this.#refuse(attempt, "unassigned");
    } else if (!target) {
      this.#refuse(attempt, "app-gone");
      this.#refusals.tell(host, port, "the app is no longer there, or the login to its cluster has ended");
    } else if (!offersPort(target.app, port)) {
      this.#refuse(attempt, "port", target);
      this.#refusals.tell(host, port, `not among the target ports of the app: ${describePorts(target.app)}`, target);
    } else if (this.#dialsTo(host) >= MAX_DIALS_PER_NAME) {
      this.#refuse(attempt, "dials-full", target);
      this.#refusals.tell(host, port, `${MAX_DIALS_PER_NAME} connections to it are being set up already`, target);
    } else {
      const dial = this.#connect(attempt, target).finally(() => this.#dials.delete(dial));
      this.#dials.set(dial, host);
    }
  }

  #dialsTo(host: string): number {
    if (this.#dials.size < MAX_DIALS_PER_NAME) return 0; // as good as the number, and cheap
    return [...this.#dials.values()].filter((name) => name === host).length;
  }

  /** The local side is accepted only after the app has been. */
  async #connect(attempt: TcpAttempt, target: Target): Promise<void> {
    const { directory, clock } = this.#options;
    const { port } = attempt.local;
    const signals = [attempt.aborted, this.#end.signal];
    const cancelled = () => signals.some((signal) => signal.aborted);
    try {
      const remote = await dialWithin(directory, target, port, clock, signals);
      if (!cancelled()) {
        this.#join(attempt, target, remote);
        return;
      }
      remote.reset("shutdown"); // the end came between the dial's and this turn
    } catch (error) {
      if (!cancelled()) {
        this.#refuse(attempt, "dial-failed", target);
        this.#refusals.tell(target.host, port, messageOf(error), target, error);
        return;
      }
    }
    this.counters.count("vnet.cancelled");
    attempt.refuse();
  }

  #join(attempt: TcpAttempt, target: Target, remote: ByteStream): void {
    const { port } = attempt.local;
    const local = attempt.accept();
    const totals = splice(local, remote, () => this.#traffic.end(connection));
    const since = this.#options.clock.wallMs();
    const connection: Connection = { local, remote, totals, target, port, from: attempt.remote, since };
    this.#traffic.begin(connection);
    this.counters.count("vnet.connected");
  }

  #refuse(attempt: TcpAttempt, why: string, target?: Target): void {
    this.#traffic.refuse(target);
    this.counters.count(`vnet.refused-${why}`);
    attempt.refuse();
  }

  #dnsStream(attempt: TcpAttempt): void {
    if (attempt.local.port !== DNS_PORT || this.#dnsStreams.size >= MAX_DNS_STREAMS) {
      this.#refuse(attempt, "dns-port");
      return;
    }
    const stream = attempt.accept();
    this.#dnsStreams.add(stream);
    serveDnsStream(stream, {
      handle: (query) => this.#dns.handle(query, "tcp"),
      clock: this.#options.clock,
      closed: () => this.#dnsStreams.delete(stream),
    });
  }
}
