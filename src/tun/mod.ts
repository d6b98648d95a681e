/**
 * IP packets in and out: the kernel's TUN, and a pair in memory that stands in
 * for it in tests. All use of `node:ffi`, which is experimental, is in
 * `linux.ts`. Deliberately absent: addresses, routes and link state, which are
 * `oscfg`'s and `host`'s, and any look inside a packet.
 */
export type { Offload, TunDevice, TunHandler } from "./device.ts";
export { TunLostError, TunUnavailableError } from "./errors.ts";
export { MAX_BURST, MAX_FRAME_LEN, TUN_MTU, TUN_QUEUE_LEN, VNET_HEADER_LEN } from "./limits.ts";
export {
  adoptTun,
  forbidDumps,
  openTun,
  openTunDescriptor,
  receiveDescriptor,
  sendDescriptor,
  socketPair,
  type TunOptions,
} from "./linux.ts";
export { type MemoryTunOptions, memoryTunPair } from "./memory.ts";
