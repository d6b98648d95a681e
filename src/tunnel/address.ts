import { isIP } from "node:net";
import { assert } from "../base/mod.ts";

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `host:port` or `[v6]:port`, already checked where it was configured. */
export function splitAddress(address: string): HostPort {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address);
  assert(match, `not host:port: ${address}`);
  return { host: (match[1] ?? match[2])!, port: Number(match[3]) };
}

/** The name for SNI; addresses have none (RFC 6066 §3). */
export function serverNameOf(host: string): { servername?: string } {
  return isIP(host) ? {} : { servername: host };
}
