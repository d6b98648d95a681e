import { OperationError } from "../base/mod.ts";

/** There is no TUN to be had; `message` names the setting to change. */
export class TunUnavailableError extends OperationError {
  override readonly code = "tun.unavailable";
}

/** The device went away while in use: deleted, or its namespace ended. */
export class TunLostError extends OperationError {
  override readonly code = "tun.lost";
  readonly device: string;

  constructor(device: string, options?: { cause?: unknown }) {
    super(`the network device ${device} has been removed; start VNet again`, options);
    this.device = device;
  }
}
