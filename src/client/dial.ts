import { connect, type Socket } from "node:net";
import { ProxyUnreachableError } from "./errors.ts";
import { reasonOf } from "./reasons.ts";
import { splitHostPort } from "./web.ts";

/** A TCP connection to a proxy's one port; what is spoken on it is the caller's affair. */
export function dialProxy(address: string, signal: AbortSignal): Promise<Socket> {
  const { host, port } = splitHostPort(address);
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: port ?? 443, noDelay: true });
    const settle = (run: () => void) => {
      signal.removeEventListener("abort", onAbort);
      socket.off("error", onError);
      run();
    };
    const onError = (cause: Error) =>
      settle(() => {
        reject(new ProxyUnreachableError(`the proxy ${address} cannot be reached: ${reasonOf(cause)}`, { cause }));
      });
    const onAbort = () =>
      settle(() => {
        socket.destroy();
        reject(signal.reason);
      });
    socket.once("error", onError);
    socket.once("connect", () => settle(() => resolve(socket)));
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
