import type { Clock, Timer } from "../base/mod.ts";
import type { Link } from "../link/mod.ts";
import type { LinkContext } from "../tunnel/mod.ts";
import type { Denial } from "./authorize.ts";
import type { Connections } from "./connection.ts";
import { SESSION_SWEEP_MS } from "./limits.ts";
import type { AgentView } from "./sessions.ts";

export interface EnforcementOptions {
  readonly view: Pick<AgentView, "onChange">;
  readonly clock: Clock;
  readonly connections: Pick<Connections, "enforce">;
  /** Whether the holder of a link may still be here at all: locks, and the age of what is known of them. */
  standing(identity: LinkContext["identity"]): Denial | undefined;
}

/**
 * Ends what may no longer be, with its reason in the audit log: links and
 * connections of what was locked, connections that are idle. At each news of a
 * lock, and besides each second, because time alone also ends things.
 */
export class Enforcement {
  readonly #options: EnforcementOptions;
  readonly #links = new Map<Pick<Link, "close" | "closed">, LinkContext>();
  readonly #unsubscribe: () => void;
  #sweep: Timer;

  constructor(options: EnforcementOptions) {
    this.#options = options;
    this.#unsubscribe = options.view.onChange((change) => {
      // A lock was made; or a trust was ended, and with it the authority of its users.
      if (change.kind === "lock" && change.type === "put") this.enforce();
      if (change.kind === "cert_authority") this.enforce();
    });
    this.#sweep = this.#schedule();
  }

  addLink(link: Pick<Link, "close" | "closed">, context: LinkContext): void {
    this.#links.set(link, context);
    void link.closed.then(() => this.#links.delete(link));
    this.#endLink(link, context); // A lock may have come while the link was made.
  }

  /** Connections first: each has its record before its link takes it away. */
  enforce(): void {
    // Judged once for all connections of a link.
    const judged = new Map<LinkContext["identity"], string | undefined>();
    this.#options.connections.enforce(({ identity }) => {
      if (!judged.has(identity)) judged.set(identity, this.#options.standing(identity)?.message);
      return judged.get(identity);
    });
    for (const [link, context] of this.#links) this.#endLink(link, context);
  }

  close(): void {
    this.#unsubscribe();
    this.#sweep.cancel();
  }

  #endLink(link: Pick<Link, "close">, { identity }: LinkContext): void {
    const denial = this.#options.standing(identity);
    if (denial !== undefined) link.close("access-denied", denial.message);
  }

  #schedule(): Timer {
    return this.#options.clock.after(SESSION_SWEEP_MS, () => {
      this.enforce();
      this.#sweep = this.#schedule();
    });
  }
}
