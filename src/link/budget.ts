import { assert } from "../base/mod.ts";
import {
  LINK_CREDIT_MIN,
  MAX_LINKS,
  MAX_TRANSPORTS,
  PROCESS_CREDIT,
  PROCESS_REPLAY,
  TRANSPORT_REPLAY_MIN,
} from "./limits.ts";

/** One may hold at most this part of what is left for all … */
const FAIR_SHARE = 4;
/** … less this part of the whole: for what cannot wait, as the least window of a new stream. */
const KEPT_SHARE = 4;

/**
 * Octets that so many share. Each has a minimum that nobody else can take, now
 * or before it comes, so none starves. Of the rest one may hold a part of what
 * is left for all (the dynamic thresholds of Choudhury and Hahne, 1998): it
 * shrinks as others come, equal for all that are busy, and leaves something
 * for the next even where the others never give back.
 */
export class Budget {
  readonly #size: number;
  readonly minimum: number;
  /** Neither held nor kept as a minimum. */
  common: number;
  /** Shares that may still join. */
  vacant: number;

  constructor(size: number, shares: number, minimum: number) {
    this.#size = size - shares * minimum;
    this.common = this.#size;
    this.vacant = shares;
    this.minimum = minimum;
    assert(this.#size > 0, "a budget is more than the minimum of all its shares");
  }

  /** What one may hold beyond its minimum. */
  get fair(): number {
    return (this.common - this.#size / KEPT_SHARE) / FAIR_SHARE;
  }

  join(): Share {
    assert(this.vacant > 0, "a budget is for so many shares");
    this.vacant--;
    return new Share(this);
  }
}

/** What one of them holds. */
export class Share {
  readonly #budget: Budget;
  #used = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  get used(): number {
    return this.#used;
  }

  /** Octets more that are its fair part now; below zero once others want theirs. */
  get room(): number {
    return this.#budget.minimum + Math.floor(this.#budget.fair) - this.#used;
  }

  /** Octets more that there are at all. */
  get left(): number {
    return Math.max(0, this.#budget.minimum - this.#used) + this.#budget.common;
  }

  /** It holds `octets` in all from here on. */
  use(octets: number): void {
    const { minimum } = this.#budget;
    this.#budget.common += Math.max(this.#used, minimum) - Math.max(octets, minimum);
    this.#used = octets;
    assert(this.#budget.common >= 0, "held beyond the budget");
  }

  /** Another may join in its place. */
  leave(): void {
    assert(this.#used === 0, "a share that leaves holds nothing");
    this.#budget.vacant++;
  }
}

/** Octets, and a number of links. */
export interface BudgetSizes {
  credit: number;
  replay: number;
  links: number;
}

/** What all links of a process may hold together (PROTOCOL section 4): one for each process, handed to every link. */
export class LinkBudget {
  /** Receive credit that is given out: what peers may send and no reader has taken. */
  readonly credit: Budget;
  /** What is sent and not acknowledged. */
  readonly replay: Budget;
  readonly maxLinks: number;

  constructor(sizes: Partial<BudgetSizes> = {}) {
    const { credit = PROCESS_CREDIT, replay = PROCESS_REPLAY, links = MAX_LINKS } = sizes;
    this.credit = new Budget(credit, links, LINK_CREDIT_MIN);
    this.replay = new Budget(replay, links * MAX_TRANSPORTS, TRANSPORT_REPLAY_MIN);
    this.maxLinks = links;
  }

  /** No room for another link. */
  get full(): boolean {
    return this.credit.vacant === 0;
  }
}
