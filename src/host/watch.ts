import type { Duplex } from "node:stream";
import { type Logger, messageOf } from "../base/mod.ts";
import type { HostConfig } from "../oscfg/mod.ts";
import { writeMessage } from "./channel.ts";
import { WATCH_MS } from "./limits.ts";

export interface HostWatch extends Disposable {
  /** Looks now, not only when it is time. */
  look(): Promise<void>;
}

/**
 * Reports the host to the user process: now, and after each change. Each
 * `WATCH_MS` it looks whether another program (DHCP, NetworkManager, a restarted
 * systemd-resolved) has taken VNet's settings away, and puts them back.
 */
export function watchHost(config: Pick<HostConfig, "mend" | "report">, channel: Duplex, log: Logger): HostWatch {
  let told = "";
  const look = async () => {
    try {
      await config.mend();
    } catch (error) {
      log.debug({ error: messageOf(error) }, "VNet's settings could not be looked at or put back");
    }
    try {
      const report = await config.report();
      const text = JSON.stringify(report);
      if (text === told) return;
      told = text;
      writeMessage(channel, { report });
    } catch (error) {
      // The host's resolver is restarting, say; the next look may find it back.
      log.debug({ error: messageOf(error) }, "the host's resolver could not be looked at");
    }
  };
  let timer: NodeJS.Timeout | undefined;
  let ended = false;
  const keepLooking = async () => {
    await look();
    if (!ended) timer = setTimeout(() => void keepLooking(), WATCH_MS);
  };
  void keepLooking();
  return {
    look,
    [Symbol.dispose]() {
      ended = true;
      clearTimeout(timer);
    },
  };
}
