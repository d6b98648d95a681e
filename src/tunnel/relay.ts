import type { Socket } from "node:net";

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
 * Node's own buffers: a full one stops the reading of the other.
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
      reset(a);
      reset(b);
    },
  };
}

/** `closed` is called once `from` is gone. */
function oneWay(from: Socket, to: Socket, closed: () => void): void {
  from.setNoDelay(true);
  from.on("error", () => {}); // `close` follows.
  from.on("data", (bytes) => {
    if (!to.write(bytes)) from.pause();
  });
  to.on("drain", () => from.resume());
  from.on("end", () => to.end());
  from.once("close", () => {
    if (!from.readableEnded || !from.writableFinished) reset(to);
    closed();
  });
  if (from.destroyed) {
    reset(to);
    closed();
  } else {
    from.resume();
  }
}

/** Tells the far end that octets may be missing. */
function reset(socket: Socket): void {
  if (!socket.destroyed) socket.resetAndDestroy();
}
