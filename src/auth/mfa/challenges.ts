import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";
import { UnauthenticatedError } from "../../api/mod.ts";
import type { Clock } from "../../base/mod.ts";
import { type Backend, StaleRevisionError } from "../../storage/mod.ts";
import { Documents, versioned } from "../documents.ts";
import { CHALLENGE_TTL_MS } from "../limits.ts";

export const SCOPES = ["login", "passwordless_login", "manage_devices", "user_session"] as const;
export type Scope = (typeof SCOPES)[number];

const schema = versioned({
  scope: z.enum(SCOPES),
  /** Absent until a passkey has said who it is (`passwordless_login`). */
  user: z.string().optional(),
  expires: z.int(),
  /** Where the request came from, for the page that confirms it. */
  remote: z.string(),
  /** Base64url: what a passkey must sign. */
  webauthn: z.string().optional(),
  /** Of `user_session`: the app and its cluster, to which the answer is bound. */
  app: z.string().optional(),
  cluster: z.string().optional(),
  /** Of a login: what the certificate will be for. */
  login: z.object({ public_key: z.string(), ttl_seconds: z.int().optional() }).optional(),
  /** The device that has confirmed it on the proxy's page. */
  approved_by: z.string().optional(),
});
export type Challenge = z.infer<typeof schema>;

const ID_LEN = 16;

/**
 * What was asked and is not answered yet: single use, bound to user and
 * purpose, good for a few minutes. Storage holds only a hash of the id; that
 * hash is the name under which a page may confirm it, so who sees the page's
 * address learns nothing that answers the challenge.
 */
export class Challenges {
  readonly #documents: Documents<typeof schema>;
  readonly #clock: Clock;

  constructor(backend: Backend, clock: Clock) {
    this.#documents = new Documents(backend, "mfa_challenge", schema);
    this.#clock = clock;
  }

  async create(challenge: Omit<Challenge, "v" | "expires">): Promise<{ id: string; pageId: string; expires: number }> {
    const id = randomBytes(ID_LEN).toString("hex");
    const expires = this.#clock.wallMs() + CHALLENGE_TTL_MS;
    await this.#documents.create([pageIdOf(id)], { v: 1, ...challenge, expires }, expires);
    return { id, pageId: pageIdOf(id), expires };
  }

  /** Throws `UnauthenticatedError` where there is none. */
  async find(id: string): Promise<Challenge> {
    return this.findPage(pageIdOf(id));
  }

  async findPage(pageId: string): Promise<Challenge> {
    return (await this.#stored(pageId)).value;
  }

  /** Whoever takes it is the only one. */
  async take(id: string): Promise<Challenge> {
    const challenge = await this.find(id);
    if (!(await this.#documents.delete(pageIdOf(id)))) throw unknown();
    return challenge;
  }

  /** What the page has confirmed, once. */
  async approve(pageId: string, by: { user: string; device: string }): Promise<void> {
    const { value, revision } = await this.#stored(pageId);
    if (value.approved_by !== undefined) throw unknown();
    try {
      const approved = { ...value, user: by.user, approved_by: by.device };
      await this.#documents.update([pageId], approved, revision, value.expires);
    } catch (error) {
      if (error instanceof StaleRevisionError) throw unknown();
      throw error;
    }
  }

  async #stored(pageId: string) {
    const stored = await this.#documents.get(pageId);
    if (stored === undefined || stored.value.expires <= this.#clock.wallMs()) throw unknown();
    return stored;
  }
}

export function pageIdOf(id: string): string {
  return createHash("sha256").update(id).digest("hex");
}

function unknown(): UnauthenticatedError {
  return new UnauthenticatedError(
    "this request for a second factor was answered, has expired, or never was: begin again",
  );
}
