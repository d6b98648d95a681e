import { fstatSync } from "node:fs";
import { Socket } from "node:net";
import { formerServers, type HostReport, resolvConfPaths, type WantedState } from "../oscfg/mod.ts";
import { adoptTun, forbidDumps, type TunDevice } from "../tun/mod.ts";
import { type ApplyReply, type ReportMessage, readMessages, writeMessage } from "./channel.ts";
import { LauncherError } from "./errors.ts";
import { APPLY_MS } from "./limits.ts";

export interface AttachedLauncher {
  readonly tun: TunDevice;
  /** The host as the launcher last saw it. The first time it may take a moment. @throws {LauncherError} at its end */
  report(): Promise<HostReport>;
  /** The last report, for who has waited for the first one. */
  readonly latest: HostReport | undefined;
  /** Calls `listener` with each later report. */
  onReport(listener: (report: HostReport) => void): void;
  /** Asks the launcher for this state. @throws {LauncherError} with its reason, if it refuses or fails */
  apply(state: WantedState): Promise<void>;
  /** Aborted when the launcher has ended or wants us to: so must this process. */
  readonly closed: AbortSignal;
  /** Lets go of the channel; the launcher then waits for our end. */
  close(): void;
}

const TUN_FD = 3;
const CHANNEL_FD = 4;

/**
 * The user process's side: descriptor 3 is the TUN, descriptor 4 leads to the
 * launcher. From here on no other process of the user can look into this one.
 *
 * @throws {LauncherError} when not started by `launch`
 */
export function attachLauncher(options: { mtu: number }): AttachedLauncher {
  if (![TUN_FD, CHANNEL_FD].every(isOpen)) throw new LauncherError('this command is started by "tsh vnet" only');
  forbidDumps();
  const tun = adoptTun(TUN_FD, options);
  const channel = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
  const ended = new AbortController();
  const waiting = new Map<number, (reply: ApplyReply | LauncherError) => void>();
  let lastId = 0;
  let latest: HostReport | undefined;
  const first = Promise.withResolvers<HostReport>();
  first.promise.catch(() => {}); // Whoever waits for it is told.
  const listeners = new Set<(report: HostReport) => void>();

  channel.on("error", () => {}); // "close" follows.
  channel.on("close", () => {
    const gone = new LauncherError("the VNet launcher has ended");
    ended.abort(gone);
    first.reject(gone);
    for (const settle of waiting.values()) settle(gone);
    waiting.clear();
  });
  readMessages(channel, (message) => {
    const reply = message as ApplyReply | ReportMessage;
    if ("report" in reply) {
      latest = reply.report;
      first.resolve(latest);
      for (const listener of listeners) listener(latest);
      return;
    }
    waiting.get(reply.id)?.(reply);
    waiting.delete(reply.id);
  });

  return {
    tun,
    get latest() {
      return latest;
    },
    report: async () => latest ?? (await first.promise),
    onReport: (listener) => void listeners.add(listener),
    closed: ended.signal,
    close: () => channel.destroy(),
    apply(state) {
      const id = ++lastId;
      return new Promise<void>((resolve, reject) => {
        const late = new LauncherError(`the launcher did not answer within ${APPLY_MS / 1000} s`);
        const timer = setTimeout(() => settle(late), APPLY_MS);
        const settle = (reply: ApplyReply | LauncherError) => {
          clearTimeout(timer);
          if (reply instanceof LauncherError) reject(reply);
          else if (reply.ok) resolve();
          else reject(new LauncherError(reply.message));
        };
        if (ended.signal.aborted) return settle(ended.signal.reason as LauncherError);
        waiting.set(id, settle);
        writeMessage(channel, { id, state });
      });
    },
  };
}

/** The name servers that a program of this host asks by itself; the former ones while VNet's stand before them. */
export function upstreamServers(): string[] {
  return formerServers(resolvConfPaths());
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}
