import type { Clock } from "../base/mod.ts";
import type { Carrier } from "./carrier.ts";
import type { GoawayCode } from "./codes.ts";
import { encodeFrame } from "./frames.ts";
import { CLOSE_TIMEOUT_MS } from "./limits.ts";

/** Tells a client why it gets no link, in place of HELLO, and ends the carrier. */
export function refuseLink(carrier: Carrier, clock: Clock, code: Exclude<GoawayCode, "drain">, message: string): void {
  const timer = clock.after(CLOSE_TIMEOUT_MS, () => carrier.destroy());
  carrier.start({ data: () => {}, writable: () => {}, closed: () => timer.cancel() });
  carrier.write(encodeFrame({ type: "goaway", code, text: message }));
  carrier.close();
}
