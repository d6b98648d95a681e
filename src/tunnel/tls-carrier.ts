import type { TLSSocket } from "node:tls";
import type { Carrier, CarrierHandler } from "../link/mod.ts";
import { CARRIER_HIGH_WATER } from "./limits.ts";
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
  #full = false;
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
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#socket.write(bytes, () => this.#written());
    if (this.#socket.writableLength >= CARRIER_HIGH_WATER) this.#full = true;
  }

  close(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #written(): void {
    if (!this.#full || this.#closed || this.#socket.writableLength >= CARRIER_HIGH_WATER / 2) return;
    this.#full = false;
    this.#handler?.writable();
  }

  #ended(): void {
    if (this.#closed || this.#handler === undefined) return;
    this.#closed = true;
    this.#handler.closed(this.#error);
  }
}
