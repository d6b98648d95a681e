import { createSocket, type Socket } from "node:dgram";
import type { Clock, Counters, Timer } from "../base/mod.ts";
import type { UdpDatagram } from "../net/stack/mod.ts";
import { MAX_UDP_FLOWS, MAX_UNSENT_DATAGRAMS, UDP_DNS_IDLE_MS, UDP_IDLE_MS, UDP_SWEEP_MS } from "./limits.ts";

const DNS_PORT = 53;

/**
 * One connected socket for each pair of endpoints: the kernel then takes datagrams
 * from the target only, and tells of its ICMP errors, which are passed on. (A
 * socket per local port would let strangers answer, as some NATs do for games.)
 */
export class UdpFlows {
  readonly #clock: Clock;
  readonly #counters: Counters;
  /** In the order of their last use. */
  readonly #flows = new Map<string, UdpFlow>();
  #sweep: Timer | undefined;

  constructor(options: { clock: Clock; counters: Counters }) {
    this.#clock = options.clock;
    this.#counters = options.counters;
  }

  get size(): number {
    return this.#flows.size;
  }

  /** Sends the datagram on to `host`, the text of its destination. */
  send(host: string, datagram: UdpDatagram): void {
    const key = keyOf(datagram);
    const flow = this.#flows.get(key) ?? this.#begin(key, host, datagram);
    this.#touch(key, flow);
    flow.send(datagram);
  }

  close(): void {
    this.#sweep?.cancel();
    for (const flow of this.#flows.values()) flow.close();
    this.#flows.clear();
  }

  #begin(key: string, host: string, datagram: UdpDatagram): UdpFlow {
    if (this.#flows.size >= MAX_UDP_FLOWS) {
      const [oldest] = this.#flows.keys();
      this.#counters.count("outside.udp-evicted");
      this.#end(oldest!);
    }
    this.#counters.count("outside.udp-flows");
    this.#scheduleSweep();
    return new UdpFlow(host, datagram, {
      used: (flow) => this.#touch(key, flow),
      dropped: () => this.#counters.count("outside.udp-dropped"),
      failed: () => this.#end(key),
    });
  }

  /** Moves the flow to the end of the order. */
  #touch(key: string, flow: UdpFlow): void {
    flow.usedAt = this.#clock.now();
    this.#flows.delete(key);
    this.#flows.set(key, flow);
  }

  #end(key: string): void {
    this.#flows.get(key)?.close();
    this.#flows.delete(key);
  }

  #scheduleSweep(): void {
    this.#sweep ??= this.#clock.after(UDP_SWEEP_MS, () => {
      this.#sweep = undefined;
      const now = this.#clock.now();
      for (const [key, flow] of this.#flows) if (now - flow.usedAt >= flow.idleMs) this.#end(key);
      if (this.#flows.size > 0) this.#scheduleSweep();
    });
  }
}

interface FlowCallbacks {
  used(flow: UdpFlow): void;
  dropped(): void;
  failed(): void;
}

class UdpFlow {
  readonly idleMs: number;
  usedAt = 0;
  readonly #socket: Socket;
  readonly #callbacks: FlowCallbacks;
  /** The one that the flow's answers answer, and to which its errors belong. */
  #last: UdpDatagram;
  #connected = false;
  #closed = false;
  readonly #waiting: Uint8Array[] = [];
  #unsent = 0;

  constructor(host: string, first: UdpDatagram, callbacks: FlowCallbacks) {
    this.#callbacks = callbacks;
    this.#last = first;
    const { address, port } = first.local;
    this.idleMs = port === DNS_PORT ? UDP_DNS_IDLE_MS : UDP_IDLE_MS;
    const socket = createSocket(address.length === 4 ? "udp4" : "udp6");
    this.#socket = socket;
    socket.on("message", (message) => {
      callbacks.used(this);
      this.#last.reply(message);
    });
    socket.on("error", (error) => this.#onError(error));
    // The callback is also told of failure, which Node's types do not say.
    socket.connect(port, host, (error?: Error) => {
      if (error) this.#onError(error);
      else this.#onConnect();
    });
  }

  send(datagram: UdpDatagram): void {
    this.#last = datagram;
    if (this.#unsent >= MAX_UNSENT_DATAGRAMS) {
      this.#callbacks.dropped();
      return;
    }
    this.#unsent++;
    const payload = new Uint8Array(datagram.payload); // it is only lent, and Node may send it later
    if (this.#connected) this.#transmit(payload);
    else this.#waiting.push(payload);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  #onConnect(): void {
    if (this.#closed) return;
    this.#connected = true;
    for (const payload of this.#waiting.splice(0)) this.#transmit(payload);
  }

  #transmit(payload: Uint8Array): void {
    this.#socket.send(payload, (error) => {
      this.#unsent--;
      if (error) this.#onError(error);
    });
  }

  /** A target that nobody listens at may have somebody later; a way that is not there ends the flow. */
  #onError(error: NodeJS.ErrnoException): void {
    if (this.#closed) return;
    if (error.code === "ECONNREFUSED") {
      this.#last.unreachable("port");
    } else if (error.code === "EMSGSIZE" || error.code === "ENOBUFS") {
      this.#callbacks.dropped();
    } else {
      this.#last.unreachable("address");
      this.#callbacks.failed();
    }
  }
}

/** Both endpoints' octets. */
function keyOf({ local, remote }: UdpDatagram): string {
  const octets = [...remote.address, remote.port >> 8, remote.port & 0xff];
  return String.fromCharCode(...octets, ...local.address, local.port >> 8, local.port & 0xff);
}
