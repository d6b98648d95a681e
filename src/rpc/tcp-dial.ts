import { connect } from "node:net";
import { parseHostPort } from "../api/mod.ts";
import type { Dial } from "./connection.ts";

/** Plain TCP to `host:port`: Auth's own port, or a proxy that relays. */
export function tcpDial(address: string): Dial {
  return (signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<ReturnType<typeof connect>>();
    const target = parseHostPort(address);
    if (target?.port === undefined) return Promise.reject(new Error(`${address} is not host:port`));
    const socket = connect({ host: target.host, port: target.port, noDelay: true });
    const onAbort = () => {
      socket.destroy();
      reject(signal.reason);
    };
    socket.once("error", reject);
    socket.once("connect", () => resolve(socket));
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    return promise.finally(() => signal.removeEventListener("abort", onAbort));
  };
}
