import { ConnectionLostError } from "./errors.ts";

const PREFIX = "c1.";
/** RFC 7301 §3.1: an entry has at most 255 octets. */
const MAX_NAME_LEN = 255 - PREFIX.length;

/**
 * The second ALPN entry of a connection for the API of a leaf cluster, by which
 * the root's proxy finds the way.
 */
export function leafEntry(cluster: string): string {
  if (/^[\x21-\x7e]+$/.test(cluster) && cluster.length <= MAX_NAME_LEN) return PREFIX + cluster;
  throw new ConnectionLostError(`a cluster called ${JSON.stringify(cluster)} cannot be reached through its root`);
}

/** The leaf that a ClientHello names; `undefined` where the API of the proxy's own cluster is meant. */
export function leafOf(alpn: readonly string[]): string | undefined {
  return alpn.find((entry) => entry.startsWith(PREFIX))?.slice(PREFIX.length);
}
