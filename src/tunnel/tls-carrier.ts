import type { TLSSocket } from "node:tls";
import { concat } from "../base/mod.ts";
import type { Carrier, CarrierHandler } from "../link/mod.ts";
import { CARRIER_HIGH_WATER, TLS_READ_LEN } from "./limits.ts";
import { readPooled } from "./pooled-reads.ts";

/** Octets. */
const BINDING_LEN = 32;
const EXPORTER_LABEL = "EXPORTER-tp-link/1";

/** A TLS connection after its handshake as the carrier of a link. */
export function tlsCarrier(socket: TLSSocket): Carrier {
  return new TlsCarrier(socket);
}

class TlsCarrier implements Carrier {
  readonly binding: Uint8Array;
  readonly #socket: TLSSocket;
  #handler: CarrierHandler | undefined;
  /** Not given to the socket yet. */
  #queue: Uint8Array[] = [];
  /** Octets in the queue and in the socket. */
  #held = 0;
  #writing = false;
  #full = false;
  #ending = false;
  #closed = false;
  #error: Error | undefined;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    this.binding = socket.exportKeyingMaterial(BINDING_LEN, EXPORTER_LABEL, Buffer.alloc(0));
    socket.setNoDelay(true);
    // From here on, so that an end before `start` is not lost.
    socket.on("error", (error) => {
      this.#error = error;
    });
    socket.on("close", () => this.#ended());
  }

  get writable(): boolean {
    return !this.#full;
  }

  start(handler: CarrierHandler): void {
    this.#handler = handler;
    queueMicrotask(() => {
      if (this.#socket.destroyed) {
        this.#ended();
        return;
      }
      // Links have no half-open carriers.
      this.#socket.on("end", () => {
        this.#socket.end();
        this.#ended();
      });
      readPooled(this.#socket, "tls", (bytes, lease) => handler.data(bytes, lease));
      this.#socket.resume();
    });
  }

  write(bytes: Uint8Array): void {
    if (this.#socket.destroyed || this.#ending) return;
    this.#queue.push(bytes);
    this.#held += bytes.length;
    if (this.#held >= CARRIER_HIGH_WATER) this.#full = true;
    this.#writeNext();
  }

  close(): void {
    this.#ending = true;
    if (!this.#writing) this.#socket.end();
  }

  destroy(): void {
    this.#queue = [];
    this.#socket.destroy();
  }

  /**
   * One write at a time, so that each begins a TLS record: the socket would join
   * what waits, and every frame would lie across two records. Small batches
   * share a record.
   */
  #writeNext(): void {
    if (this.#writing || this.#queue.length === 0) return;
    this.#writing = true;
    let count = 1;
    let octets = this.#queue[0]!.length;
    while (count < this.#queue.length && octets + this.#queue[count]!.length <= TLS_READ_LEN) {
      octets += this.#queue[count++]!.length;
    }
    const [first, ...others] = this.#queue.splice(0, count);
    const bytes = others.length === 0 ? first! : concat(first!, ...others);
    this.#socket.write(bytes, () => this.#written(octets));
  }

  #written(octets: number): void {
    this.#writing = false;
    this.#held -= octets;
    if (this.#closed) return;
    this.#writeNext();
    if (this.#ending && !this.#writing) this.#socket.end();
    if (!this.#full || this.#held >= CARRIER_HIGH_WATER / 2) return;
    this.#full = false;
    this.#handler?.writable();
  }

  #ended(): void {
    if (this.#closed || this.#handler === undefined) return;
    this.#closed = true;
    this.#handler.closed(this.#error);
  }
}
