import type { Kind, ResourceOf } from "../api/mod.ts";
import type { Clock } from "../base/mod.ts";
import type { CachedView } from "./cached-view.ts";

/**
 * A resource of the view, or what it is `timeoutMs` from now: a watch is a
 * moment behind, so something that was just created may not be there yet.
 * Rejects only with the signal's reason.
 */
export function awaitEntry<K extends Kind, J extends K>(
  view: Pick<CachedView<K>, "get" | "onChange">,
  kind: J,
  name: string,
  o: { clock: Clock; timeoutMs: number; signal?: AbortSignal },
): Promise<ResourceOf<J> | undefined> {
  const present = view.get(kind, name);
  if (present !== undefined) return Promise.resolve(present);
  const { promise, resolve, reject } = Promise.withResolvers<ResourceOf<J> | undefined>();
  const onAbort = () => reject(o.signal?.reason);
  const timer = o.clock.after(o.timeoutMs, () => resolve(view.get(kind, name)));
  const stop = view.onChange((change) => {
    if (change.kind === kind && change.name === name && change.type === "put") resolve(view.get(kind, name));
  });
  o.signal?.addEventListener("abort", onAbort, { once: true });
  if (o.signal?.aborted) onAbort();
  return promise.finally(() => {
    timer.cancel();
    stop();
    o.signal?.removeEventListener("abort", onAbort);
  });
}
