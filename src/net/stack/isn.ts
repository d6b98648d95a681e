import { createHash } from "node:crypto";
import type { Random } from "../../base/mod.ts";
import { u32 } from "../wire/mod.ts";
import type { Tuple } from "./flow-table.ts";

/** Steps of 4 µs (RFC 9293 §3.4.1). */
const TICKS_PER_MS = 250;

export interface InitialNumbers {
  iss: number;
  /** Where a connection's timestamps begin: the same for the same endpoints, so that they go on rising (RFC 7323 §7.1). */
  tsOffset: number;
}

/** Initial sequence numbers: a clock plus a keyed hash of the endpoints (RFC 6528 §3). */
export function isnGenerator(random: Random): (tuple: Tuple, now: number) => InitialNumbers {
  const secret = random(16);
  return (tuple, now) => {
    const digest = createHash("sha256").update(secret).update(tuple).digest();
    return { iss: (u32(digest, 0) + Math.floor(now * TICKS_PER_MS)) % 2 ** 32, tsOffset: u32(digest, 4) };
  };
}
