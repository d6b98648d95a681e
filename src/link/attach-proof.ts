import { createHmac, timingSafeEqual } from "node:crypto";

const LINK_ID_LEN = 16;

/** What both ends of a link know of it, from the binding of its first carrier. */
export interface LinkKeys {
  /** 16 octets; no secret. */
  readonly id: Uint8Array;
  readonly secret: Uint8Array;
}

/** What is proved: that this carrier belongs to the one who began the link, for this one use. */
export interface AttachClaim {
  readonly transport: number;
  readonly generation: number;
  /** Numbered frames that the prover has taken. */
  readonly received: number;
}

/** `binding`: 32 octets of the link's first carrier. */
export function linkKeys(binding: Uint8Array): LinkKeys {
  const id = createHmac("sha256", binding).update("tp-link/1 id").digest().subarray(0, LINK_ID_LEN);
  return { id, secret: createHmac("sha256", binding).update("tp-link/1 secret").digest() };
}

/**
 * The proof in ATTACH ("attach") or in its answer ("attached"); `binding` is the
 * new carrier's, so a proof is worth nothing on any other.
 */
export function attachProof(
  keys: LinkKeys,
  side: "attach" | "attached",
  binding: Uint8Array,
  { transport, generation, received }: AttachClaim,
): Uint8Array {
  const fields = Buffer.alloc(14);
  fields.writeUInt16BE(transport, 0);
  fields.writeUInt32BE(generation, 2);
  fields.writeBigUInt64BE(BigInt(received), 6);
  return createHmac("sha256", keys.secret).update(`${side}\0`).update(binding).update(keys.id).update(fields).digest();
}

/** In constant time. `proof` has 32 octets. */
export function isProofGenuine(proof: Uint8Array, expected: Uint8Array): boolean {
  return timingSafeEqual(proof, expected);
}
