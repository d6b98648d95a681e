import { z } from "zod";
import { UnauthenticatedError } from "../api/mod.ts";
import type { UserIdentity } from "../pki/mod.ts";
import type { Backend } from "../storage/mod.ts";
import { Documents, versioned } from "./documents.ts";

const schema = versioned({ at: z.int() });

/** When each user was reset last: certificates from before it open nothing any more, however long they would live. */
export class LoginEnds {
  readonly #documents: Documents<typeof schema>;

  constructor(backend: Backend) {
    this.#documents = new Documents(backend, "logins_ended", schema);
  }

  /** `at`: milliseconds since 1970. */
  async end(user: string, at: number): Promise<void> {
    await this.#documents.put([user], { v: 1, at });
  }

  /** Throws `UnauthenticatedError`. */
  async refuse({ user, issued = 0 }: UserIdentity): Promise<void> {
    const end = (await this.#documents.get(user))?.value.at;
    if (end === undefined || issued > end) return;
    throw new UnauthenticatedError(`user ${JSON.stringify(user)} was reset: log in again`);
  }
}
