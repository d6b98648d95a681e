/**
 * A link: app connections as streams between a client and one agent process,
 * over one to four transports. Frames and state only: octets come from and go
 * to `Carrier`s, which `tunnel` dials.
 *
 * Frames are numbered, and kept until they are acknowledged, so that a
 * transport outlives its carrier; streams have credit of their own, so that a
 * slow reader stalls only itself. It lacks on purpose: moving a stream from one
 * transport to another, and any part of a link's life after its process.
 */
export { type Arrival, LinkAcceptor } from "./acceptor.ts";
export { LinkBudget } from "./budget.ts";
export type { Carrier, CarrierHandler } from "./carrier.ts";
export type { CloseCode, GoawayCode, RefusalCode } from "./codes.ts";
export {
  LinkAttachError,
  LinkBudgetError,
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
export { Redialer, type RedialerOptions } from "./redialer.ts";
export { refuseLink } from "./refuse.ts";
