import { argon2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { z } from "zod";
import { BadInputError, LimitExceededError } from "../api/mod.ts";
import { type Backend, KeyExistsError } from "../storage/mod.ts";
import { Documents, versioned } from "./documents.ts";
import { ARGON2, MAX_HASHING, MAX_HASHING_QUEUE, MAX_PASSWORD_LEN, MIN_PASSWORD_LEN } from "./limits.ts";

const schema = versioned({
  algorithm: z.literal("argon2id"),
  memory: z.int(),
  passes: z.int(),
  parallelism: z.int(),
  salt: z.base64(),
  hash: z.base64(),
});
type PasswordHash = z.infer<typeof schema>;

const argon2Async = promisify(argon2);
const SALT_LEN = 16;

/** Passwords as Argon2id hashes, apart from users: no listing of users can show one. */
export class Passwords {
  readonly #documents: Documents<typeof schema>;
  readonly #work = new WorkQueue(MAX_HASHING, MAX_HASHING_QUEUE);
  /** Hashed against when there is nothing to compare with, so that the time tells nothing. */
  readonly #nobody: PasswordHash = {
    v: 1,
    algorithm: "argon2id",
    ...ARGON2,
    salt: randomBytes(SALT_LEN).toString("base64"),
    hash: randomBytes(ARGON2.tagLength).toString("base64"),
  };

  constructor(backend: Backend) {
    this.#documents = new Documents(backend, "password", schema);
  }

  /** The first password of a user. `false`: there is one already. Throws `BadInputError` on a weak one. */
  async setFirst(user: string, password: string): Promise<boolean> {
    checkStrength(password);
    const salt = randomBytes(SALT_LEN).toString("base64");
    const hash = (await this.#hash(password, { ...ARGON2, salt })).toString("base64");
    const { memory, passes, parallelism } = ARGON2;
    try {
      await this.#documents.create([user], { v: 1, algorithm: "argon2id", memory, passes, parallelism, salt, hash });
      return true;
    } catch (error) {
      if (error instanceof KeyExistsError) return false;
      throw error;
    }
  }

  async has(user: string): Promise<boolean> {
    return (await this.#documents.get(user)) !== undefined;
  }

  /** The same work whether or not there is such a user with a password. */
  async verify(user: string, password: string): Promise<boolean> {
    const stored = (await this.#documents.get(user))?.value;
    const against = stored ?? this.#nobody;
    const hash = await this.#hash(password.slice(0, MAX_PASSWORD_LEN + 1), against);
    return timingSafeEqual(hash, Buffer.from(against.hash, "base64")) && stored !== undefined;
  }

  delete(user: string): Promise<boolean> {
    return this.#documents.delete(user);
  }

  #hash(password: string, o: { memory: number; passes: number; parallelism: number; salt: string }): Promise<Buffer> {
    const { memory, passes, parallelism } = o;
    const message = Buffer.from(password.normalize("NFC"));
    const nonce = Buffer.from(o.salt, "base64");
    return this.#work.run(() =>
      argon2Async("argon2id", { message, nonce, memory, passes, parallelism, tagLength: ARGON2.tagLength }),
    );
  }
}

/** The password policy. Throws `BadInputError`. */
export function checkStrength(password: string): void {
  if (password.length < MIN_PASSWORD_LEN) {
    throw new BadInputError(`the password is too short: at least ${MIN_PASSWORD_LEN} characters`);
  }
  if (password.length > MAX_PASSWORD_LEN) {
    throw new BadInputError(`the password is too long: at most ${MAX_PASSWORD_LEN} characters`);
  }
}

/** At most `width` jobs at once, `length` waiting, in their order. */
class WorkQueue {
  readonly #width: number;
  readonly #length: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(width: number, length: number) {
    this.#width = width;
    this.#length = length;
  }

  async run<T>(job: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#width) {
      if (this.#waiting.length >= this.#length) {
        throw new LimitExceededError("too many logins at this moment: try again in a few seconds");
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running++;
    }
    try {
      return await job();
    } finally {
      // The place passes straight to the next, who does not count it again.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
