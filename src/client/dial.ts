import type { Duplex } from "node:stream";
import type { DialTcp } from "../dial/mod.ts";
import { tcpDial } from "../rpc/mod.ts";
import { ProxyUnreachableError } from "./errors.ts";
import { reasonOf } from "./reasons.ts";

/** A TCP connection to a proxy's one port, `host:port`; what is spoken on it is the caller's affair. */
export async function dialProxy(address: string, signal: AbortSignal, dialTcp?: DialTcp): Promise<Duplex> {
  try {
    return await tcpDial(address, dialTcp)(signal);
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new ProxyUnreachableError(`the proxy ${address} cannot be reached: ${reasonOf(cause)}`, { cause });
  }
}
