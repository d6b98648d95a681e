import type { Chunk, Random } from "../../base/mod.ts";
import { randomUint32 } from "../../base/mod.ts";
import { put16, type TcpSegment, u32 } from "../wire/mod.ts";
import type { Endpoint } from "./types.ts";

/**
 * Both endpoints as they stand in a packet that arrives: remote address, local
 * address, remote port, local port. 12 or 36 octets.
 */
export type Tuple = Uint8Array;

/** What a TCP segment can belong to: a held SYN, a connection, a TIME-WAIT. */
export interface Flow {
  readonly tuple: Tuple;
  /** A segment whose checks have passed. Takes `text` over. */
  segment(seg: TcpSegment, text: Chunk | undefined, now: number): void;
  /** The stack ends. */
  shutdown(): void;
  /** The table's. */
  nextFlow: Flow | undefined;
}

export function makeTuple(remote: Endpoint, local: Endpoint): Tuple {
  const len = remote.address.length;
  const tuple = new Uint8Array(2 * len + 4);
  tuple.set(remote.address, 0);
  tuple.set(local.address, len);
  put16(tuple, 2 * len, remote.port);
  put16(tuple, 2 * len + 2, local.port);
  return tuple;
}

/** The tuple of a packet: its addresses and ports lie apart. */
export function tupleOf(buf: Uint8Array, addressesAt: number, addressLen: number, portsAt: number): Tuple {
  const tuple = new Uint8Array(2 * addressLen + 4);
  // For a few octets a loop is cheaper than a view.
  for (let i = 0; i < 2 * addressLen; i++) tuple[i] = buf[addressesAt + i]!;
  for (let i = 0; i < 4; i++) tuple[2 * addressLen + i] = buf[portsAt + i]!;
  return tuple;
}

export function addressLenOf(tuple: Tuple): 4 | 16 {
  return tuple.length === 12 ? 4 : 16;
}

export function versionOf(tuple: Tuple): 4 | 6 {
  return tuple.length === 12 ? 4 : 6;
}

export function remoteOf(tuple: Tuple): Endpoint {
  const len = addressLenOf(tuple);
  return { address: tuple.slice(0, len), port: (tuple[2 * len]! << 8) | tuple[2 * len + 1]! };
}

export function localOf(tuple: Tuple): Endpoint {
  const len = addressLenOf(tuple);
  return { address: tuple.slice(len, 2 * len), port: (tuple[2 * len + 2]! << 8) | tuple[2 * len + 3]! };
}

/**
 * Finds the flow of a packet without cutting anything out of it. The hash is
 * seeded, so that nobody outside can aim at one chain.
 */
export class FlowTable {
  readonly #chains = new Map<number, Flow>();
  readonly #seed: number;
  size = 0;

  constructor(random: Random) {
    this.#seed = randomUint32(random) | 1;
  }

  /** The flow of the packet whose addresses and ports are at these positions. */
  find(buf: Uint8Array, addressesAt: number, addressLen: number, portsAt: number): Flow | undefined {
    let flow = this.#chains.get(this.#hash(buf, addressesAt, addressLen, portsAt));
    while (flow !== undefined && !matches(flow.tuple, buf, addressesAt, addressLen, portsAt)) flow = flow.nextFlow;
    return flow;
  }

  get(tuple: Tuple): Flow | undefined {
    const len = addressLenOf(tuple);
    return this.find(tuple, 0, len, 2 * len);
  }

  /** Adds a flow whose tuple is not in the table. */
  add(flow: Flow): void {
    const hash = this.#hashOf(flow.tuple);
    flow.nextFlow = this.#chains.get(hash);
    this.#chains.set(hash, flow);
    this.size++;
  }

  /** Does nothing when the flow is not in the table. */
  remove(flow: Flow): boolean {
    const hash = this.#hashOf(flow.tuple);
    let previous: Flow | undefined;
    let at = this.#chains.get(hash);
    while (at !== undefined && at !== flow) {
      previous = at;
      at = at.nextFlow;
    }
    if (at === undefined) return false;
    if (previous !== undefined) previous.nextFlow = flow.nextFlow;
    else if (flow.nextFlow !== undefined) this.#chains.set(hash, flow.nextFlow);
    else this.#chains.delete(hash);
    flow.nextFlow = undefined;
    this.size--;
    return true;
  }

  /** A copy: flows may be removed meanwhile. */
  all(): Flow[] {
    const flows: Flow[] = [];
    for (const first of this.#chains.values()) {
      for (let flow: Flow | undefined = first; flow !== undefined; flow = flow.nextFlow) flows.push(flow);
    }
    return flows;
  }

  #hashOf(tuple: Tuple): number {
    const len = addressLenOf(tuple);
    return this.#hash(tuple, 0, len, 2 * len);
  }

  /** 30 bits, so that the key is a small integer. */
  #hash(buf: Uint8Array, addressesAt: number, addressLen: number, portsAt: number): number {
    let h = this.#seed;
    const end = addressesAt + 2 * addressLen;
    for (let at = addressesAt; at < end; at += 4) h = mix(h, u32(buf, at));
    return mix(h, u32(buf, portsAt)) >>> 2;
  }
}

/** One round of multiply and shift, as MurmurHash3 does. */
function mix(h: number, word: number): number {
  const k = Math.imul(h ^ word, 0x85ebca6b);
  return Math.imul(k ^ (k >>> 13), 0xc2b2ae35) ^ (k >>> 16);
}

function matches(tuple: Tuple, buf: Uint8Array, addressesAt: number, addressLen: number, portsAt: number): boolean {
  const ports = 2 * addressLen;
  if (tuple.length !== ports + 4 || u32(tuple, ports) !== u32(buf, portsAt)) return false;
  for (let i = 0; i < ports; i += 4) if (u32(tuple, i) !== u32(buf, addressesAt + i)) return false;
  return true;
}
