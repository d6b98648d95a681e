import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";
import { NotFoundError, type User } from "../api/mod.ts";
import type { CallContext, RequestOf, ResponseOf } from "../rpc/mod.ts";
import type { Backend } from "../storage/mod.ts";
import { actorOf, type Core, iso, record } from "./core.ts";
import { Documents, versioned } from "./documents.ts";
import { demand } from "./grants.ts";
import { proxyAddresses } from "./heartbeats.ts";
import { DEFAULT_INVITE_TTL_MS, MAX_INVITE_TTL_MS } from "./limits.ts";
import type { Passwords } from "./passwords.ts";
import { recordWrite } from "./record-write.ts";
import { checkUser } from "./write-rules.ts";

const schema = versioned({ user: z.string(), expires: z.int() });
const TOKEN_LEN = 16;

/** Links by which new users set their first password: good once and for a while. Storage holds only the token's hash. */
export class Invites {
  readonly #core: Core;
  readonly #passwords: Passwords;
  readonly #documents: Documents<typeof schema>;

  constructor(core: Core, backend: Backend, passwords: Passwords) {
    this.#core = core;
    this.#passwords = passwords;
    this.#documents = new Documents(backend, "invite", schema);
  }

  /** A new user without a password, and the invite. */
  async create(request: RequestOf<"user.invite">, context: CallContext): Promise<ResponseOf<"user.invite">> {
    const core = this.#core;
    await demand(core, context, ["create"], "user");
    const { name, roles, traits } = request;
    const now = core.clock.wallMs();
    const user: User = {
      kind: "user",
      version: "v2",
      metadata: { name },
      spec: {
        roles,
        ...(traits && { traits }),
        created_by: { time: iso(now), user: { name: actorOf(context).user } },
      },
    };
    await checkUser(core, user);
    const created = await core.store.create(user);
    const ttlMs = Math.min((request.ttl_seconds ?? DEFAULT_INVITE_TTL_MS / 1000) * 1000, MAX_INVITE_TTL_MS);
    const token = randomBytes(TOKEN_LEN).toString("hex");
    await this.#documents.create([digest(token)], { v: 1, user: name, expires: now + ttlMs }, now + ttlMs);
    await recordWrite(core, "create", created, context);
    await record(core, "reset_password_token.create", { ...actorOf(context), name, ttl: `${ttlMs / 1000}s` });
    return { token, expires: iso(now + ttlMs), url: await this.#url(token) };
  }

  async read(token: string): Promise<ResponseOf<"invite.read">> {
    const { user, expires } = await this.#find(token);
    return { user, expires: iso(expires) };
  }

  /** Whoever is first sets the password; the token is worth nothing afterwards. */
  async accept(token: string, password: string, context: CallContext): Promise<ResponseOf<"invite.accept">> {
    const { user } = await this.#find(token);
    if (!(await this.#passwords.setFirst(user, password))) throw invalid();
    await this.#documents.delete(digest(token));
    await record(this.#core, "user.password_change", { ...actorOf(context), user });
    return { user };
  }

  /** Of a user that is deleted: another of the same name must not inherit them. */
  async deleteOf(user: string): Promise<void> {
    for (const { name, value } of await this.#documents.list(MAX_INVITES)) {
      if (value.user === user) await this.#documents.delete(name);
    }
  }

  async #find(token: string): Promise<z.infer<typeof schema>> {
    const invite = (await this.#documents.get(digest(token)))?.value;
    if (invite === undefined || invite.expires <= this.#core.clock.wallMs()) throw invalid();
    const user = await this.#core.store.find("user", invite.user);
    if (user === undefined || (await this.#passwords.has(invite.user))) throw invalid();
    return invite;
  }

  async #url(token: string): Promise<string> {
    const [address] = await proxyAddresses(this.#core);
    return `https://${(address ?? "PROXY_HOST:3080").replace(/:443$/, "")}/web/invite/${token}`;
  }
}

/** More invites than this are not open at one time: each ends after 48 h. */
const MAX_INVITES = 100_000;

function digest(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

function invalid(): NotFoundError {
  return new NotFoundError("this invitation is not valid: it was used, has expired, or never was; ask for a new one");
}
