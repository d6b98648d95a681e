import type { ByteStream, Clock } from "../base/mod.ts";
import type { Directory } from "./directory.ts";
import { DialTimeoutError } from "./errors.ts";
import { DIAL_TIMEOUT_MS } from "./limits.ts";
import type { Target } from "./zones.ts";

/**
 * Opens a connection to the app within `DIAL_TIMEOUT_MS`. Rejects as soon as
 * one of `signals` is aborted, whether or not the directory heeds it; a stream that comes
 * too late is reset.
 */
export function dialWithin(
  directory: Directory,
  target: Target,
  port: number,
  clock: Clock,
  signals: readonly AbortSignal[],
): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    const abort = new AbortController();
    let open = true;
    const finish = (settle: () => void) => {
      if (!open) return;
      open = false;
      timer.cancel();
      for (const signal of signals) signal.removeEventListener("abort", onAbort);
      settle();
    };
    const giveUp = (reason: unknown) =>
      finish(() => {
        abort.abort(reason);
        reject(reason);
      });
    const onAbort = () => giveUp(signals.find((signal) => signal.aborted)?.reason);
    const timer = clock.after(DIAL_TIMEOUT_MS, () => giveUp(new DialTimeoutError(DIAL_TIMEOUT_MS)));
    for (const signal of signals) signal.addEventListener("abort", onAbort);
    if (signals.some((signal) => signal.aborted)) {
      onAbort();
      return;
    }
    directory.dial(target.cluster, target.app, port, abort.signal).then(
      (stream) => {
        if (open) finish(() => resolve(stream));
        else stream.reset("shutdown");
      },
      (error) => finish(() => reject(error)),
    );
  });
}
