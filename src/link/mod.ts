/**
 * A link: app connections as streams over one carrier, between a client and one
 * agent process. Frames and state only: octets come from and go to a `Carrier`.
 *
 * Frames are numbered and acknowledged, and streams have credit of their own,
 * so that a slow reader stalls only itself. It lacks on purpose, for now:
 * replacing the carrier under a living transport, and more than one transport.
 */
export type { Carrier, CarrierHandler } from "./carrier.ts";
export type { CloseCode, GoawayCode, RefusalCode } from "./codes.ts";
export {
  LinkClosedError,
  LinkDrainingError,
  LinkLimitError,
  LinkOpenTimeoutError,
  LinkRefusedError,
} from "./errors.ts";
export * as linkWire from "./frames.ts";
export { KeepAlive } from "./keep-alive.ts";
export * as linkLimits from "./limits.ts";
export { Link } from "./link.ts";
export type { LinkOptions, LinkPeer, OpenRequest, ServerLinkOptions } from "./options.ts";
export { PieceQueue } from "./pieces.ts";
export { refuseLink } from "./refuse.ts";
