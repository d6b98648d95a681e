import { LimitExceededError } from "../api/mod.ts";
import type { Clock } from "../base/mod.ts";
import {
  LOGIN_ADDRESS_WINDOW_MS,
  MAX_CHALLENGES_PER_USER,
  MAX_FAILED_LOGINS,
  MAX_FAILED_LOGINS_PER_ADDRESS,
  MAX_LOGINS_WAITING,
  MAX_PASSWORDLESS_PER_ADDRESS,
  MAX_TRACKED_LOGINS,
  USER_LOCK_MS,
} from "./limits.ts";

/** What one failed login leads to. */
export interface Failure {
  /** It was the last that the user has: locked until then (milliseconds since 1970). */
  readonly lockedUntil?: number;
}

/**
 * How many passwords may be tried: for one user, whether or not there is one
 * of that name, and from one address. Kept in memory; the lock of a user that
 * exists is also in the user's status, and survives a restart there.
 */
export class LoginLimits {
  readonly #clock: Clock;
  readonly #users = new Tries(USER_LOCK_MS);
  readonly #addresses = new Tries(LOGIN_ADDRESS_WINDOW_MS);
  readonly #passwordless = new Tries(LOGIN_ADDRESS_WINDOW_MS);
  readonly #challenges = new Tries(LOGIN_ADDRESS_WINDOW_MS);
  /** The attempts of one user run one after the other, so that many at once are no more than five. */
  readonly #turns = new Map<string, { last: Promise<void>; waiting: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs one attempt in its turn. Throws `LimitExceededError` without running it where there were too many. */
  async attempt<T>(who: { user: string; address: string }, run: () => Promise<T>): Promise<T> {
    const turn = this.#turns.get(who.user) ?? { last: Promise.resolve(), waiting: 0 };
    if (turn.waiting >= MAX_LOGINS_WAITING) throw new LimitExceededError("too many logins at once: try again later");
    const done = Promise.withResolvers<void>();
    const before = turn.last;
    turn.last = done.promise;
    turn.waiting++;
    this.#turns.set(who.user, turn);
    try {
      await before;
      this.#refuseTooMany(who);
      return await run();
    } finally {
      if (--turn.waiting === 0) this.#turns.delete(who.user);
      done.resolve();
    }
  }

  failed({ user, address }: { user: string; address: string }): Failure {
    const now = this.#clock.wallMs();
    this.#addresses.add(address, now);
    return this.#users.add(user, now) === MAX_FAILED_LOGINS ? { lockedUntil: now + USER_LOCK_MS } : {};
  }

  /** One more login begins for which nothing was shown yet. Throws `LimitExceededError`. */
  countPasswordless(address: string): void {
    if (this.#passwordless.add(address, this.#clock.wallMs()) <= MAX_PASSWORDLESS_PER_ADDRESS) return;
    throw new LimitExceededError("too many logins from your address: try again in a minute");
  }

  /** One more second factor is asked of the user. Throws `LimitExceededError`. */
  countChallenge(user: string): void {
    if (this.#challenges.add(user, this.#clock.wallMs()) <= MAX_CHALLENGES_PER_USER) return;
    throw new LimitExceededError("too many requests for a second factor: try again in a minute");
  }

  /** The user has proved who they are, or an administrator lets them try again. */
  forget(user: string): void {
    this.#users.forget(user);
  }

  /** Whether no refusal of this user's was told of since the last failure. */
  firstRefusal(user: string): boolean {
    return this.#users.tell(user, this.#clock.wallMs());
  }

  #refuseTooMany({ user, address }: { user: string; address: string }): void {
    const now = this.#clock.wallMs();
    if (this.#users.count(user, now) >= MAX_FAILED_LOGINS) throw tooMany("for this user");
    if (this.#addresses.count(address, now) >= MAX_FAILED_LOGINS_PER_ADDRESS) throw tooMany("from your address");
  }
}

export function tooMany(whose: string): LimitExceededError {
  return new LimitExceededError(`too many failed logins ${whose}: try again later, or ask your administrator`);
}

/** Failures by name, each name's forgotten a while after its last one. */
class Tries {
  readonly #windowMs: number;
  readonly #counts = new Map<string, { count: number; until: number; told?: true }>();

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  count(name: string, now: number): number {
    const known = this.#counts.get(name);
    return known === undefined || known.until <= now ? 0 : known.count;
  }

  add(name: string, now: number): number {
    const count = this.count(name, now) + 1;
    this.#put(name, { count, until: now + this.#windowMs });
    return count;
  }

  /** Whether this is the first refusal of the name in its window. */
  tell(name: string, now: number): boolean {
    const known = this.#counts.get(name);
    if (known?.told && known.until > now) return false;
    const count = this.count(name, now);
    this.#put(name, { count, until: count > 0 && known ? known.until : now + this.#windowMs, told: true });
    return true;
  }

  #put(name: string, tries: { count: number; until: number; told?: true }): void {
    this.#counts.delete(name); // To the end: the oldest is dropped first.
    this.#counts.set(name, tries);
    if (this.#counts.size > MAX_TRACKED_LOGINS) this.#counts.delete(this.#counts.keys().next().value ?? "");
  }

  forget(name: string): void {
    this.#counts.delete(name);
  }
}
