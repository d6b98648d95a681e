import type { CertAuthority } from "../api/mod.ts";
import { type Clock, isMalformed, type Logger, messageOf, type Timer } from "../base/mod.ts";
import { createCsr, generateKeyPair, validityOf, verifyChain } from "../pki/mod.ts";
import { authorityCerts } from "./authorities.ts";
import { Backoff } from "./backoff.ts";
import type { RpcClient } from "./client.ts";
import type { HostRecord } from "./identity-store.ts";
import { RENEWAL_LOOK_MS } from "./limits.ts";

/** A `CachedView` that follows `cert_authority`, maybe besides others. */
interface AuthorityView {
  list(kind: "cert_authority"): CertAuthority[];
  onChange(listener: (change: { readonly kind: string }) => void): () => void;
}

export interface HostKeeperOptions {
  readonly record: HostRecord;
  readonly client: Pick<RpcClient, "call" | "useIdentity" | "useTrust">;
  readonly view: AuthorityView;
  readonly clock: Clock;
  readonly log: Logger;
  /** Keeps a record for the next start. Absent where Auth runs in this process: each start makes a new one. */
  readonly store?: ((record: HostRecord) => Promise<void>) | undefined;
}

/**
 * Keeps a host's credentials current, with no restart: the authorities as the
 * cluster says them now, and a new key and certificate at half of the old one's
 * life or when a rotation of the host authority comes to the servers.
 */
export class HostKeeper {
  readonly #options: HostKeeperOptions;
  readonly #listeners = new Set<() => void>();
  readonly #unsubscribe: () => void;
  readonly #backoff = new Backoff();
  #record: HostRecord;
  #timer: Timer | undefined;
  #renewing = false;
  /** There was news while a renewal ran. */
  #again = false;
  #closed = false;
  #storing: Promise<void> = Promise.resolve();

  constructor(options: HostKeeperOptions) {
    this.#options = options;
    this.#record = options.record;
    this.#unsubscribe = options.view.onChange((change) => {
      if (change.kind === "cert_authority") this.#look();
    });
    this.#look();
  }

  /** What to show and whom to trust now. */
  get record(): HostRecord {
    return this.#record;
  }

  /** Called when the certificate or an authority has changed: connections made before go by the old ones. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Nothing is renewed afterwards; what was is stored. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    this.#timer?.cancel();
    await this.#storing;
  }

  #look(): void {
    if (this.#closed) return;
    this.#followAuthorities();
    if (this.#renewing) this.#again = true;
    else if (this.#isDue()) void this.#renew();
    else this.#lookAfter(RENEWAL_LOOK_MS);
  }

  #followAuthorities(): void {
    const { cluster, hostCas, userCas } = this.#record;
    const now = {
      hostCas: this.#authorities("host", hostCas),
      userCas: this.#authorities("user", userCas),
    };
    if (same(now.hostCas, hostCas) && same(now.userCas, userCas)) return;
    this.#options.client.useTrust({ cluster, hostCas: now.hostCas });
    this.#adopt({ ...this.#record, ...now });
  }

  #authorities(type: "host" | "user", known: readonly string[]): readonly string[] {
    return authorityCerts(this.#options.view.list("cert_authority"), { type, cluster: this.#record.cluster, known });
  }

  #isDue(): boolean {
    const { from, to } = validityOf(this.#record.certPem);
    return this.#options.clock.wallMs() >= from + (to - from) / 2 || this.#isOfFormerKey();
  }

  /** From `update_servers` on the key that signs is the one for everybody, and in `rollback` again. */
  #isOfFormerKey(): boolean {
    const { cluster, certPem } = this.#record;
    const authority = this.#options.view
      .list("cert_authority")
      .find(({ spec }) => spec.type === "host" && spec.cluster_name === cluster);
    if (authority === undefined) return false;
    const { active_keys, rotation } = authority.spec;
    if (rotation?.phase === "init" || rotation?.phase === "update_clients") return false;
    const signing = active_keys.map(({ cert }) => cert);
    const verdict = verifyChain(certPem, signing, this.#options.clock.wallMs());
    return isMalformed(verdict) && verdict.malformed === "pki.unknown-authority";
  }

  async #renew(): Promise<void> {
    this.#renewing = true;
    this.#again = false;
    const { client, log } = this.#options;
    try {
      const keys = await generateKeyPair();
      const answer = await client.call("host.renew", { csr: await createCsr(keys) });
      if (this.#closed) return;
      const { cert: certPem, host_cas: hostCas, user_cas: userCas } = answer;
      client.useTrust({ cluster: this.#record.cluster, hostCas });
      this.#adopt({ ...this.#record, certPem, keyPem: keys.keyPem, hostCas, userCas });
      client.useIdentity(this.#record);
      this.#backoff.reset();
      log.info({ until: new Date(validityOf(certPem).to).toISOString() }, "the host's certificate was renewed");
      this.#lookAfter(RENEWAL_LOOK_MS);
    } catch (error) {
      log.info({ error: messageOf(error) }, "the host's certificate could not be renewed yet");
      this.#lookAfter(this.#backoff.nextMs());
    } finally {
      this.#renewing = false;
    }
    if (this.#again) this.#look();
  }

  #adopt(record: HostRecord): void {
    this.#record = record;
    const { store, log } = this.#options;
    if (store !== undefined) {
      // In order, so that an older record never replaces a newer one.
      this.#storing = this.#storing
        .then(() => store(record))
        .catch((error: unknown) =>
          log.error({ error: messageOf(error) }, "the host's certificate could not be stored"),
        );
    }
    for (const listener of this.#listeners) listener();
  }

  #lookAfter(waitMs: number): void {
    this.#timer?.cancel();
    if (!this.#closed) this.#timer = this.#options.clock.after(waitMs, () => this.#look());
  }
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}
