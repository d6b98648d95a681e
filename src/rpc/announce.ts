import type { Resource } from "../api/mod.ts";
import { type Clock, type Logger, messageOf, OperationError, sleep } from "../base/mod.ts";
import { Backoff } from "./backoff.ts";
import type { RpcClient } from "./client.ts";

export interface AnnounceOptions {
  readonly client: Pick<RpcClient, "call">;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long an announcement lives without renewal. */
  readonly ttlMs: number;
  /** What to announce now, lapsing at `expires` (milliseconds since 1970). */
  resource(expires: number): Resource;
}

/** A refusal may pass with the moment (two apps swap their addresses) so many times … */
const QUICK_RETRIES = 3;
/** … and if it does not, the next tries wait this part of the life. */
const REFUSED_PART = 1 / 20;

/**
 * Keeps one resource of this host in the cluster: written at once, again after
 * half its life (and up to a tenth more, so that hosts do not write in step),
 * after a failure as soon as Auth is back.
 */
export class Announcement {
  /** The first write was taken. Never rejects; after `stop` it may stay open. */
  readonly ready: Promise<void>;
  readonly #options: AnnounceOptions;
  readonly #stopped = new AbortController();
  readonly #running: Promise<void>;
  #wake = new AbortController();
  #refusals = 0;

  constructor(options: AnnounceOptions) {
    this.#options = options;
    const first = Promise.withResolvers<void>();
    this.ready = first.promise;
    this.#running = this.#run(first.resolve);
  }

  /** What is announced has changed: write it now. */
  renew(): void {
    this.#wake.abort();
  }

  /** Writes no more; what was written stays until it lapses. */
  async stop(): Promise<void> {
    this.#stopped.abort(new Error("the announcement was stopped"));
    await this.#running;
  }

  /** Stops, and takes back what was written as far as Auth answers within `timeoutMs`. */
  async withdraw(timeoutMs: number): Promise<void> {
    await this.stop();
    const { kind, metadata } = this.#options.resource(0);
    try {
      await this.#options.client.call("resource.delete", { kind, name: metadata.name }, { timeoutMs });
    } catch (error) {
      this.#options.log.info(
        { kind, name: metadata.name, error: messageOf(error) },
        "an announcement stays until it lapses",
      );
    }
  }

  async #run(first: () => void): Promise<void> {
    const { signal } = this.#stopped;
    const backoff = new Backoff();
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const waitMs = await this.#announce(first, backoff);
      await sleep(waitMs, AbortSignal.any([signal, this.#wake.signal])).catch(() => {});
    }
  }

  /** One write; returns the wait until the next. */
  async #announce(first: () => void, backoff: Backoff): Promise<number> {
    const { client, clock, log, ttlMs } = this.#options;
    const resource = this.#options.resource(clock.wallMs() + ttlMs);
    const what = { kind: resource.kind, name: resource.metadata.name };
    try {
      await client.call("resource.upsert", { resource }, { signal: this.#stopped.signal });
      backoff.reset();
      this.#refusals = 0;
      first();
      return ttlMs / 2 + (Math.random() * ttlMs) / 10;
    } catch (error) {
      if (this.#stopped.signal.aborted) return 0;
      if (error instanceof OperationError && !error.retryable) {
        log.error({ ...what, error: error.message }, "the cluster refused an announcement");
        return ++this.#refusals <= QUICK_RETRIES ? backoff.nextMs() : ttlMs * REFUSED_PART;
      }
      log.info({ ...what, error: messageOf(error) }, "an announcement failed and will be tried again");
      return backoff.nextMs();
    }
  }
}
