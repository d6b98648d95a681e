import type { TLSSocket } from "node:tls";
import { type Clock, type Counters, isMalformed, type Logger, type Timer } from "../base/mod.ts";
import { type Identity, validityOf, verifyChain } from "../pki/mod.ts";
import { CARRIER_TRUST_SWEEP_MS } from "./limits.ts";

export interface CarrierTrustOptions {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly log: Logger;
  /** Whose clients are let in now. */
  userCas(): readonly string[];
}

interface Shown {
  readonly certificate: Uint8Array;
  readonly identity: Identity;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

type Connection = Pick<TLSSocket, "once" | "destroy">;

/**
 * TLS looks at a client's certificate once, and a carrier may outlive it. This
 * gives carriers up whose certificate has expired or whose authority is not
 * trusted any more. Their links do not end by it: the client comes back with a
 * renewed certificate, or the resume window passes.
 */
export class CarrierTrust {
  readonly #options: CarrierTrustOptions;
  readonly #carriers = new Map<Connection, Shown>();
  #userCas: readonly string[];
  #sweep: Timer | undefined;

  constructor(options: CarrierTrustOptions) {
    this.#options = options;
    this.#userCas = options.userCas();
  }

  /** `certificate` (DER) is verified by the present authorities. */
  watch(connection: Connection, certificate: Uint8Array, identity: Identity): void {
    this.#carriers.set(connection, { certificate, identity, expires: validityOf(certificate).to });
    connection.once("close", () => this.#carriers.delete(connection));
    this.#schedule();
  }

  close(): void {
    this.#sweep?.cancel();
    this.#carriers.clear();
  }

  /** Only while there are any. */
  #schedule(): void {
    this.#sweep ??= this.#options.clock.after(CARRIER_TRUST_SWEEP_MS, () => {
      this.#sweep = undefined;
      this.#look();
      if (this.#carriers.size > 0) this.#schedule();
    });
  }

  #look(): void {
    const { clock, userCas } = this.#options;
    const now = clock.wallMs();
    const cas = userCas();
    // A signature costs too much to look at each second.
    const rotated = cas.length !== this.#userCas.length || cas.some((ca, i) => ca !== this.#userCas[i]);
    this.#userCas = cas;
    for (const [connection, { certificate, identity, expires }] of this.#carriers) {
      if (now >= expires) this.#giveUp(connection, identity, "its certificate has expired");
      else if (rotated && isMalformed(verifyChain(certificate, cas, now))) {
        this.#giveUp(connection, identity, "the authority of its certificate is not trusted any more");
      }
    }
  }

  #giveUp(connection: Connection, { kind, ...identity }: Identity, why: string): void {
    const { counters, log } = this.#options;
    counters.count("link.outdated-carrier");
    log.info({ user: "user" in identity ? identity.user : kind, why }, "a client's connection was given up");
    this.#carriers.delete(connection);
    connection.destroy(new Error(why));
  }
}
