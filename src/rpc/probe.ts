import { type ClientHttp2Session, constants } from "node:http2";
import { PING_INTERVAL_MS, PING_TIMEOUT_MS } from "./limits.ts";

/** What is asked of a session. */
export type Probed = Pick<ClientHttp2Session, "destroyed" | "destroy" | "ping" | "once">;

/** A path that died without a word (a laptop that moved) is noticed and closed. */
export function probe(session: Probed): void {
  const timer = setInterval(() => {
    // Destroyed in this very turn: its "close" is still to come, and `ping` would throw.
    if (session.destroyed) return;
    const overdue = setTimeout(() => session.destroy(undefined, constants.NGHTTP2_CANCEL), PING_TIMEOUT_MS);
    overdue.unref();
    const sent = session.ping(() => clearTimeout(overdue));
    if (!sent) clearTimeout(overdue);
  }, PING_INTERVAL_MS);
  timer.unref();
  session.once("close", () => clearInterval(timer));
}
