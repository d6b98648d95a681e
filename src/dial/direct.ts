import { connect, type Socket } from "node:net";

export interface Target {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** As Node's option: the far end's end is not ours. */
  readonly allowHalfOpen?: boolean;
}

/** A connected socket; rejects with Node's error, an error of this folder, or the signal's reason. */
export type DialTcp = (target: Target, signal: AbortSignal) => Promise<Socket>;

export const dialDirect: DialTcp = ({ host, port, allowHalfOpen = false }, signal) => {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect({ host, port, allowHalfOpen, noDelay: true });
  const onAbort = () => {
    socket.destroy();
    reject(signal.reason);
  };
  socket.on("error", reject); // Also for what comes before there is an owner.
  socket.once("connect", () => resolve(socket));
  signal.addEventListener("abort", onAbort, { once: true });
  return promise.finally(() => signal.removeEventListener("abort", onAbort));
};
