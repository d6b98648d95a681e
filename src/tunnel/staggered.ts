import type { Clock, Timer } from "../base/mod.ts";

export interface Staggered<S, T> {
  attempt(source: S, signal: AbortSignal): Promise<T>;
  /** Ends what succeeded after another had. */
  drop(late: T): void;
  /** No other source will do better. */
  isFinal(error: unknown): boolean;
  /** Of two failures the one to throw away. */
  worse(a: unknown, b: unknown): unknown;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** The next source is tried when the ones before have failed, or have taken so long. */
  readonly staggerMs: number;
}

/** The first success among `sources`, tried in their order and at last side by side (as RFC 8305 §5 does). Rejects with the most telling failure. */
export function staggered<S, T>(sources: readonly S[], o: Staggered<S, T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const losers = new AbortController();
  const signal = AbortSignal.any([o.signal, losers.signal]);
  let next = 0;
  let running = 0;
  let over = false;
  let failure: { error: unknown } | undefined;
  let timer: Timer | undefined;

  const settle = (how: () => void) => {
    over = true;
    timer?.cancel();
    how();
    losers.abort(new Error("another way was faster"));
  };
  const start = () => {
    timer?.cancel();
    running++;
    o.attempt(sources[next++]!, signal).then(
      (value) => (over ? o.drop(value) : settle(() => resolve(value))),
      (error: unknown) => onFailure(error),
    );
    if (next < sources.length) timer = o.clock.after(o.staggerMs, start);
  };
  const onFailure = (error: unknown) => {
    running--;
    if (over) return;
    failure = { error: failure && o.worse(failure.error, error) === error ? failure.error : error };
    if (o.signal.aborted) settle(() => reject(o.signal.reason));
    else if (o.isFinal(error)) settle(() => reject(error));
    else if (next < sources.length) start();
    else if (running === 0) settle(() => reject(failure!.error));
  };
  start();
  return promise;
}
