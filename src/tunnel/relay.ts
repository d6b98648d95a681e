import type { Socket } from "node:net";
import { readPooled } from "./pooled-reads.ts";
import { EndingSocket, resetSocket } from "./socket-end.ts";

export interface RelayTotals {
  readonly aToB: number;
  readonly bToA: number;
}

export interface Relay {
  /** Resets both connections. */
  cut(): void;
}

/**
 * Joins two sockets (`allowHalfOpen`) until both directions have ended. An end
 * is passed on as an end and a failure as a reset. Each side holds at most
 * Node's own buffers: a full one stops the reading of the other. `done` is
 * never called before this returns, though both sockets be gone already.
 */
export function relay(a: Socket, b: Socket, done: (totals: RelayTotals) => void = () => {}): Relay {
  let open = 2;
  const finish = () => {
    if (--open === 0) done({ aToB: a.bytesRead, bToA: b.bytesRead });
  };
  oneWay(a, b, finish);
  oneWay(b, a, finish);
  return {
    cut() {
      resetSocket(a);
      resetSocket(b);
    },
  };
}

/** `closed` is called once `from` is gone. */
function oneWay(from: Socket, to: Socket, closed: () => void): void {
  const out = new EndingSocket(to);
  const onClose = () => {
    // The far end learns that octets may be missing.
    if (!from.readableEnded || !from.writableFinished) resetSocket(to);
    closed();
  };
  from.setNoDelay(true);
  from.on("error", () => {}); // `close` follows.
  readPooled(from, "raw", (bytes, lease) => {
    lease.retain();
    if (!out.write(bytes, () => lease.release())) from.pause();
  });
  to.on("drain", () => from.resume());
  from.on("end", () => out.end());
  if (from.destroyed) {
    queueMicrotask(onClose);
  } else {
    from.once("close", onClose);
    from.resume();
  }
}
