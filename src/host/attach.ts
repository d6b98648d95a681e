import type { WantedState } from "../oscfg/mod.ts";
import type { TunDevice } from "../tun/mod.ts";

export interface AttachedLauncher {
  readonly tun: TunDevice;
  /** Asks the launcher for this state. @throws {LauncherError} with its reason, if it refuses or fails */
  apply(state: WantedState): Promise<void>;
  /** Aborted when the launcher has ended: so must this process. */
  readonly closed: AbortSignal;
}

/** The user process's side: descriptor 3 is the TUN, descriptor 4 leads to the launcher. */
export function attachLauncher(_options: { mtu: number }): AttachedLauncher {
  throw new Error("not yet");
}
