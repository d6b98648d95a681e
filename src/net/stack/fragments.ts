import {
  addWords,
  checksumOf,
  IP6_HEADER_LEN,
  type IpPacket,
  put16,
  u16,
  u32,
  VIRTIO_HEADER_LEN,
} from "../wire/mod.ts";
import type { Deadlines, Due } from "./deadlines.ts";
import { FRAGMENT_OCTETS, FRAGMENTED_DATAGRAMS, FRAGMENTS_PER_DATAGRAM, REASSEMBLY_TIMEOUT_MS } from "./limits.ts";

const MAX_PACKET_LEN = 65_535;

/** What became of a fragment; only "whole" comes with a frame. */
export type Reassembly = Uint8Array | "waits" | "refused";

/** Puts fragments together (RFC 791 §3.2, RFC 8200 §4.5). Overlaps are refused in both versions (RFC 5722 §4). */
export class Fragments {
  readonly #deadlines: Deadlines;
  readonly #expired: (first: FirstFragment | undefined) => void;
  /** In the order of their coming. */
  readonly #datagrams = new Map<string, Datagram>();
  #octets = 0;

  /** `expired`: a datagram has waited too long; its first fragment if that has come. */
  constructor(deadlines: Deadlines, expired: (first: FirstFragment | undefined) => void) {
    this.#deadlines = deadlines;
    this.#expired = expired;
  }

  /** Octets that wait. */
  get octets(): number {
    return this.#octets;
  }

  /** Borrows `buf`. A whole datagram comes back as a frame whose checksums nobody has looked at. */
  take(buf: Uint8Array, ip: IpPacket, now: number): Reassembly {
    const part = partOf(buf, ip);
    if (part === undefined) return "refused";
    const key = keyOf(buf, ip);
    const datagram = this.#datagrams.get(key) ?? this.#open(key, now);
    const grown = datagram.add(part, buf, ip);
    if (grown === "refused") {
      this.#octets -= datagram.octets;
      datagram.poison();
      return "refused";
    }
    this.#octets += grown;
    if (datagram.isWhole()) {
      this.#close(datagram);
      return datagram.join();
    }
    while (this.#octets > FRAGMENT_OCTETS) this.#closeOldest();
    return "waits";
  }

  #open(key: string, now: number): Datagram {
    if (this.#datagrams.size >= FRAGMENTED_DATAGRAMS) this.#closeOldest();
    const datagram: Datagram = new Datagram(key, () => {
      this.#close(datagram);
      this.#expired(datagram.first);
    });
    this.#datagrams.set(key, datagram);
    this.#deadlines.set(datagram, now + REASSEMBLY_TIMEOUT_MS);
    return datagram;
  }

  #closeOldest(): void {
    const [oldest] = this.#datagrams.values();
    if (oldest !== undefined) this.#close(oldest);
  }

  #close(datagram: Datagram): void {
    this.#octets -= datagram.octets;
    this.#datagrams.delete(datagram.key);
    this.#deadlines.delete(datagram);
  }
}

/** A copy of the packet that begins a datagram: its headers are the whole one's. */
export interface FirstFragment {
  readonly buf: Uint8Array;
  readonly ip: IpPacket;
}

interface Part {
  readonly from: number;
  readonly to: number;
  readonly isLast: boolean;
}

function partOf(buf: Uint8Array, ip: IpPacket): Part | undefined {
  const field = u16(buf, ip.fragmentAt + 2);
  const from = ip.version === 4 ? (field & 0x1fff) * 8 : field & 0xfff8;
  const isLast = ip.version === 4 ? (field & 0x2000) === 0 : (field & 1) === 0;
  const length = ip.end - ip.bodyAt;
  if (length === 0 || (!isLast && length % 8 !== 0)) return undefined;
  const header = ip.version === 4 ? ip.bodyAt - ip.at : ip.fragmentAt - ip.at - IP6_HEADER_LEN;
  return header + from + length > MAX_PACKET_LEN ? undefined : { from, to: from + length, isLast };
}

/** Addresses and identification; IPv4 adds the protocol (RFC 791 §3.2). */
function keyOf(buf: Uint8Array, ip: IpPacket): string {
  const id = ip.version === 4 ? (u16(buf, ip.fragmentAt) << 8) | ip.protocol : u32(buf, ip.fragmentAt + 4);
  const addresses = buf.subarray(ip.addressesAt, ip.addressesAt + 2 * ip.addressLen);
  return `${Buffer.from(addresses).toString("latin1")}${id}`;
}

class Datagram implements Due {
  readonly key: string;
  readonly #expire: () => void;
  #parts: { from: number; to: number; bytes: Uint8Array }[] = [];
  /** Length of the body, once the last fragment has come. */
  #length: number | undefined;
  /** An overlap was seen: what is still to come of it is refused, too. */
  #poisoned = false;
  octets = 0;
  first: FirstFragment | undefined;
  dueMs = 0;
  heap: Due["heap"];

  constructor(key: string, expire: () => void) {
    this.key = key;
    this.#expire = expire;
  }

  expired(): void {
    this.#expire();
  }

  /** Octets that were added. */
  add(part: Part, buf: Uint8Array, ip: IpPacket): number | "refused" {
    if (this.#poisoned || this.#parts.length >= FRAGMENTS_PER_DATAGRAM) return "refused";
    const { from, to } = part;
    const at = this.#parts.findIndex((other) => other.to > from);
    const next = at < 0 ? undefined : this.#parts[at];
    // A packet that came twice is no overlap (RFC 8200 §4.5).
    if (next !== undefined && next.from === from && next.to === to) return 0;
    if (next !== undefined && next.from < to) return "refused";
    if (part.isLast && (this.#length !== undefined || at >= 0)) return "refused";
    if (this.#length !== undefined && to > this.#length) return "refused";
    if (part.isLast) this.#length = to;
    const bytes = buf.slice(ip.bodyAt, ip.end);
    this.#parts.splice(at < 0 ? this.#parts.length : at, 0, { from, to, bytes });
    if (from === 0) this.first = { buf: buf.slice(0, ip.end), ip };
    const added = bytes.length + (from === 0 ? ip.end : 0);
    this.octets += added;
    return added;
  }

  poison(): void {
    this.#poisoned = true;
    this.#parts = [];
    this.first = undefined;
    this.octets = 0;
  }

  isWhole(): boolean {
    let end = 0;
    for (const part of this.#parts) {
      if (part.from !== end) return false;
      end = part.to;
    }
    return end === this.#length;
  }

  join(): Uint8Array {
    const { buf, ip } = this.first!;
    const headerEnd = ip.version === 4 ? ip.bodyAt : ip.fragmentAt;
    const headerLen = headerEnd - ip.at;
    const frame = new Uint8Array(VIRTIO_HEADER_LEN + headerLen + this.#length!);
    const at = VIRTIO_HEADER_LEN;
    frame.set(buf.subarray(ip.at, headerEnd), at);
    for (const part of this.#parts) frame.set(part.bytes, at + headerLen + part.from);
    if (ip.version === 4) {
      put16(frame, at + 2, headerLen + this.#length!);
      put16(frame, at + 6, 0);
      put16(frame, at + 10, 0);
      put16(frame, at + 10, checksumOf(addWords(0, frame, at, at + headerLen)));
    } else {
      put16(frame, at + 4, headerLen - IP6_HEADER_LEN + this.#length!);
      frame[at + ip.protocolOffset] = ip.protocol;
    }
    return frame;
  }
}
