import type { Clock, Lease, Malformed, Timer } from "../base/mod.ts";
import type { Carrier } from "./carrier.ts";
import { encodeFrame, type Frame } from "./frames.ts";
import { CARRIER_OCTETS, CARRIER_WRITES, CLOSE_TIMEOUT_MS } from "./limits.ts";
import { FrameReader, type FrameSink } from "./reader.ts";

/** Who a carrier's frames are for. After the channel's end it hears nothing more. */
export interface ChannelOwner {
  /** A Malformed is answered by `broken`. */
  readonly frame: FrameSink;
  /** Octets came. */
  heard(): void;
  writable(): void;
  /** What came is no frame, or was not taken as one. */
  broken(bad: Malformed): void;
  /** The carrier ended. */
  ended(message: string): void;
  /** It has carried so much that another should take its place. Told once. */
  worn(): void;
}

/** A carrier in use: its octets as frames, and its one end. */
export class Channel {
  readonly #carrier: Carrier;
  readonly #clock: Clock;
  readonly #reader: FrameReader;
  #owner: ChannelOwner;
  #over = false;
  #sent = 0;
  #received = 0;
  #writes = 0;
  /** That came: at least as many as the peer has written. */
  #frames = 0;
  #worn = false;
  #closeTimer: Timer | undefined;

  constructor(carrier: Carrier, clock: Clock, owner: ChannelOwner) {
    this.#carrier = carrier;
    this.#clock = clock;
    this.#owner = owner;
    this.#reader = new FrameReader((type, stream, payload, lease) => {
      this.#frames++;
      return this.#over ? undefined : this.#owner.frame(type, stream, payload, lease);
    });
    carrier.start({
      data: (bytes, lease) => this.#onBytes(bytes, lease),
      writable: () => {
        if (!this.#over) this.#owner.writable();
      },
      closed: (error) => this.#onClosed(error),
    });
  }

  get binding(): Uint8Array {
    return this.#carrier.binding;
  }

  get writable(): boolean {
    return this.#carrier.writable;
  }

  /** Nothing is heard from it, or may be said, any more. */
  get over(): boolean {
    return this.#over;
  }

  /** From here on, also for what follows in the octets at hand, the frames are `owner`'s. */
  handOver(owner: ChannelOwner): void {
    this.#owner = owner;
  }

  write(bytes: Uint8Array): void {
    this.#sent += bytes.length;
    this.#writes++;
    this.#carrier.write(bytes);
    this.#wear();
  }

  say(frame: Frame): void {
    this.write(encodeFrame(frame));
  }

  /** Sends what was written, then ends; a peer that does not end too is cut off. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#closeTimer = this.#clock.after(CLOSE_TIMEOUT_MS, () => this.#carrier.destroy());
    this.#carrier.close();
  }

  /** Ends at once. */
  destroy(): void {
    this.#over = true;
    this.#carrier.destroy();
  }

  #onBytes(bytes: Uint8Array, lease: Lease): void {
    if (this.#over) return;
    this.#received += bytes.length;
    this.#owner.heard();
    const bad = this.#reader.push(bytes, lease);
    if (bad !== undefined && !this.#over) this.#owner.broken(bad);
    this.#wear();
  }

  #onClosed(error: Error | undefined): void {
    this.#closeTimer?.cancel();
    if (this.#over) return;
    this.#over = true;
    this.#owner.ended(error ? `the connection failed: ${error.message}` : "the connection was closed");
  }

  #wear(): void {
    if (this.#worn || this.#over) return;
    const writes = Math.max(this.#writes, this.#frames);
    if (Math.max(this.#sent, this.#received) < CARRIER_OCTETS && writes < CARRIER_WRITES) return;
    this.#worn = true;
    this.#owner.worn();
  }
}
