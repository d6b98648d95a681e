import { parseHostPort } from "../api/mod.ts";
import { type DialTcp, dialDirect } from "../dial/mod.ts";
import type { Dial } from "./connection.ts";

/** TCP to `host:port`, straight or by `dialTcp`: Auth's own port, or a proxy that relays. */
export function tcpDial(address: string, dialTcp: DialTcp = dialDirect): Dial {
  return async (signal) => {
    const target = parseHostPort(address);
    if (target?.port === undefined) throw new Error(`${address} is not host:port`);
    return dialTcp({ host: target.host, port: target.port }, signal);
  };
}
