import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

/**
 * Ends a connection so that the far end knows that octets may be missing: by
 * RST where it is TCP itself.
 *
 * While a `shutdown` is under way libuv refuses to reset, and Node then leaves
 * the descriptor open for ever: such a socket is closed instead. `EndingSocket`
 * makes sure that nothing of ours is unsent by then.
 */
export function resetSocket(socket: Socket): void {
  if (socket.destroyed) return;
  const shuttingDown = socket.writableEnded && !socket.writableFinished;
  const isTcp = !(socket instanceof TLSSocket) && socket.remotePort !== undefined;
  if (isTcp && !shuttingDown) socket.resetAndDestroy();
  else socket.destroy();
}

/** Writes to a socket and ends it only when the kernel has taken everything, so that it can be reset until then. */
export class EndingSocket {
  readonly socket: Socket;
  #pending = 0;
  #ending = false;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** As `socket.write`; `taken` is called once, also where the socket failed. */
  write(bytes: Uint8Array, taken?: () => void): boolean {
    this.#pending++;
    return this.socket.write(bytes, () => {
      this.#pending--;
      taken?.();
      if (this.#ending && this.#pending === 0) this.socket.end();
    });
  }

  end(): void {
    this.#ending = true;
    if (this.#pending === 0) this.socket.end();
  }
}
