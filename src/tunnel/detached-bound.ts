import type { Clock } from "../base/mod.ts";
import type { Link } from "../link/mod.ts";
import { DETACHED_SWEEP_MS, MAX_DETACHED_LINKS, MAX_DETACHED_OCTETS } from "./limits.ts";

type BoundLink = Pick<Link, "detachedAt" | "heldOctets" | "close">;

/** Links that wait for their clients, with the user of each. */
export interface WaitingLink {
  readonly link: BoundLink;
  readonly user: string;
}

/**
 * Keeps what is held for absent clients within MAX_DETACHED_OCTETS and
 * MAX_DETACHED_LINKS for each user: the link that has waited longest goes first. Looks only while there are any.
 */
export class DetachedBound {
  readonly #clock: Clock;
  readonly #links: () => Iterable<WaitingLink>;
  #scheduled = false;

  constructor(clock: Clock, links: () => Iterable<WaitingLink>) {
    this.#clock = clock;
    this.#links = links;
  }

  /** A link has lost its connection. */
  watch(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.after(DETACHED_SWEEP_MS, () => {
      this.#scheduled = false;
      if (this.#sweep()) this.watch(); // What waits may grow: apps go on writing.
    });
  }

  #sweep(): boolean {
    const byUser = Map.groupBy(
      [...this.#links()].filter(({ link }) => link.detachedAt !== undefined),
      ({ user }) => user,
    );
    for (const waiting of byUser.values()) bound(waiting.map(({ link }) => link));
    return byUser.size > 0;
  }
}

function bound(links: BoundLink[]): void {
  let held = links.reduce((sum, { heldOctets }) => sum + heldOctets, 0);
  let count = links.length;
  for (const link of links.toSorted((a, b) => a.detachedAt! - b.detachedAt!)) {
    if (held <= MAX_DETACHED_OCTETS && count <= MAX_DETACHED_LINKS) return;
    held -= link.heldOctets;
    count--;
    link.close("shutdown", "too much was waiting for this client to come back");
  }
}
