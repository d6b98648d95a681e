import type { TestContext } from "node:test";
import packet from "dns-packet";
import { type Clock, Counters, createLogger, seededRandom, systemClock } from "../base/mod.ts";
import { memoryTunPair, VNET_HEADER_LEN } from "../tun/mod.ts";
import { type AddressStore, type Outside, planAddresses, VNet } from "../vnet/mod.ts";
import { type FakeDial, FakeDirectory } from "./fake-directory.ts";
import { VirtualHost } from "./virtual-host.ts";

export interface VirtualVnet {
  host: VirtualHost;
  vnet: VNet;
  directory: FakeDirectory;
  /** Queries that went to the upstreams. */
  forwarded: Uint8Array[];
  /** Messages of the log. */
  lines: string[];
  /** Sends a RST for the connection that the host asked for last, as the kernel does for a killed program. */
  killLast(): void;
  /** Ends the device as the kernel would. */
  loseDevice(error: Error): void;
  running: Promise<void>;
  upstreamsClosed(): boolean;
}

export interface VirtualVnetOptions {
  /** Replaces the echoing apps. */
  dial?: FakeDial;
  clock?: Clock;
  /** Chance that a frame is lost. */
  loss?: number;
  ipv6?: boolean;
  store?: AddressStore;
  outside?: (counters: Counters) => Outside;
  /** Of its choice of addresses. */
  seed?: number;
}

/**
 * VNet in this process, without root: its device is one end of a pair in memory,
 * a `VirtualHost` sits at the other. Ends with the test.
 */
export function startVirtualVnet(t: Pick<TestContext, "after">, options: VirtualVnetOptions = {}): VirtualVnet {
  const [tun, hostTun] = memoryTunPair({ loss: options.loss ?? 0, seed: 3 });
  let lastFrame = new Uint8Array();
  const write = hostTun.write.bind(hostTun);
  hostTun.write = (frame) => {
    lastFrame = frame.slice();
    return write(frame);
  };
  const directory = new FakeDirectory(options.dial);
  const addresses = planAddresses(directory.view, seededRandom(1));
  const lines: string[] = [];
  const forwarded: Uint8Array[] = [];
  let upstreamsClosed = false;
  const upstreams = {
    close() {
      upstreamsClosed = true;
    },
    /** NXDOMAIN for all but one name, which points into a served range. */
    exchange(query: Uint8Array) {
      forwarded.push(query);
      return Promise.resolve(Buffer.from(query).includes("rebind") ? rebindingAnswer(query) : nxdomain(query));
    },
  };
  const log = createLogger({ level: "info", format: "json", write: (line) => void lines.push(JSON.parse(line).msg) });
  let loseDevice: (error: Error) => void = () => {};
  const start = tun.start.bind(tun);
  tun.start = (handler) => {
    loseDevice = (error) => handler.failed(error);
    start(handler);
  };
  const { ipv6 = true } = options;
  const counters = new Counters();
  const vnet = new VNet({
    counters,
    ...(options.outside && { outside: options.outside(counters) }),
    ipv6,
    tun,
    directory,
    addresses,
    upstreams,
    clock: options.clock ?? systemClock,
    random: seededRandom(options.seed ?? 2),
    ...(options.store && { store: options.store }),
    log,
  });
  const { tunV4, tunV6, dnsV4, dnsV6 } = addresses;
  const host = new VirtualHost({ tun: hostTun, v4: tunV4, v6: tunV6, dnsV4, dnsV6 });
  const running = vnet.run();
  t.after(async () => {
    await vnet.close();
    await running.catch(() => {});
    host.close();
    tun.close();
  });
  return {
    ...{ host, vnet, directory, forwarded, lines, running },
    loseDevice: (error) => loseDevice(error),
    killLast: () => void write(resetAfter(lastFrame)),
    upstreamsClosed: () => upstreamsClosed,
  };
}

/** The RST that follows a SYN, both over IPv4. The checksum is the device's to fill in. */
function resetAfter(syn: Uint8Array): Uint8Array {
  const frame = syn.slice();
  const tcp = new DataView(frame.buffer, VNET_HEADER_LEN + 20);
  tcp.setUint32(4, tcp.getUint32(4) + 1);
  tcp.setUint8(13, 0x04);
  return frame;
}

function nxdomain(query: Uint8Array): Uint8Array {
  const reply = query.slice();
  reply[2]! |= 0x80;
  reply[3]! |= 3;
  return reply;
}

function rebindingAnswer(query: Uint8Array): Uint8Array {
  const { id, questions } = packet.decode(Buffer.from(query));
  const answers = ["192.168.2.9", "192.0.2.9"].map(
    (data): packet.Answer => ({ type: "A", name: questions![0]!.name, ttl: 60, data }),
  );
  return packet.encode({ type: "response", id: id!, questions: questions!, answers });
}
