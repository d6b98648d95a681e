import type { Socket } from "node:net";
import { type Clock, isMalformed, type Malformed, malformed } from "../base/mod.ts";

/**
 * Reads the beginning of a connection until `parse` knows what it is, and
 * leaves the socket paused with everything unread.
 *
 * Pause before unshift: on a flowing socket the octets would reach the next
 * owner out of order. `maxLen`: octets, beyond which it is Malformed.
 */
export function peekSocket<T extends object>(
  socket: Socket,
  clock: Clock,
  o: { timeoutMs: number; maxLen: number; parse(bytes: Uint8Array): T | "incomplete" | Malformed },
): Promise<T | Malformed> {
  return new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0);
    const finish = (result: T | Malformed) => {
      timer.cancel();
      socket.off("data", onData).off("end", onEnd).off("close", onEnd).off("error", onError);
      socket.pause();
      if (!isMalformed(result) && bytes.length > 0) socket.unshift(bytes);
      resolve(result);
    };
    const onData = (piece: Buffer) => {
      bytes = bytes.length === 0 ? piece : Buffer.concat([bytes, piece]);
      const result = o.parse(bytes);
      if (result !== "incomplete") finish(result);
      else if (bytes.length > o.maxLen) finish(malformed("first-octets.too-long"));
    };
    const onEnd = () => finish(malformed("first-octets.ended"));
    const onError = () => finish(malformed("first-octets.failed"));
    const timer = clock.after(o.timeoutMs, () => finish(malformed("first-octets.timeout")));
    if (socket.destroyed) {
      onError();
      return;
    }
    socket.on("data", onData).once("end", onEnd).once("close", onEnd).once("error", onError);
    socket.resume();
  });
}
