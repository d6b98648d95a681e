import { createHmac, timingSafeEqual } from "node:crypto";
import type { RequestOf, ResponseOf } from "../../rpc/mod.ts";

type Request = RequestOf<"trust.establish">;
type Answer = ResponseOf<"trust.establish">;

const LEAF_LABEL = "tp-trust/1 leaf\0";
const ROOT_LABEL = "tp-trust/1 root\0";

/**
 * How two clusters that share a join token, and nothing else, learn each
 * other's authorities. The token itself never crosses: each side proves with an
 * HMAC-SHA256 under it what it says, so whoever stands between them (the root's
 * own proxy, or a false one) can neither read the token nor put authorities of
 * its own in place. The root's proof covers the leaf's, whose nonce is fresh.
 */
export function leafProof(token: string, { cluster_name, host_cas, nonce }: Omit<Request, "mac">): string {
  return proof(token, LEAF_LABEL, [cluster_name, host_cas, nonce]);
}

export function rootProof(token: string, leafMac: string, answer: Omit<Answer, "mac">): string {
  const { cluster_name, host_cas, user_cas, tunnel_addrs } = answer;
  return proof(token, ROOT_LABEL, [leafMac, cluster_name, host_cas, user_cas, tunnel_addrs]);
}

/** In constant time. */
export function sameProof(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** JSON of strings and lists of strings has one form only, and so one reading. */
function proof(token: string, label: string, fields: readonly (string | readonly string[])[]): string {
  return createHmac("sha256", token).update(label).update(JSON.stringify(fields)).digest("hex");
}
