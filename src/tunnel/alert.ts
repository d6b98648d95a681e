import type { Socket } from "node:net";
import { type Clock, systemClock } from "../base/mod.ts";
import { ALERT_TIMEOUT_MS } from "./limits.ts";

/** TLS alert descriptions (RFC 8446 §6) that a proxy answers a ClientHello with, without being its server. */
export const ALERT = {
  /** A proxy's own failure, or no agent of the app here: another proxy may have one. */
  internalError: 80,
  /** The route token was not accepted: perhaps the next counter is. */
  unrecognizedName: 112,
} as const;

/** One fatal alert as a plaintext record. */
export function alertRecord(description: number): Uint8Array {
  return Uint8Array.from([21, 3, 3, 0, 2, 2, description]);
}

/** Answers a ClientHello that nobody will serve, and ends the connection. */
export function refuseHello(socket: Socket, description: number, clock: Clock = systemClock): void {
  const timer = clock.after(ALERT_TIMEOUT_MS, () => socket.destroy());
  socket.on("error", () => {});
  socket.once("close", () => timer.cancel());
  socket.end(alertRecord(description));
  socket.resume(); // Read to the end: unread octets would turn our FIN into a RST, which may overtake the alert.
}
