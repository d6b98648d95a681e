import { BadInputError, NotFoundError } from "../api/mod.ts";
import { issueUserCert } from "../pki/mod.ts";
import type { CallContext, RequestOf, ResponseOf } from "../rpc/mod.ts";
import { actorOf, type Core, iso, record } from "./core.ts";
import { proxyAddresses } from "./heartbeats.ts";
import { DEFAULT_SIGNED_TTL_MS, MAX_SIGNED_TTL_MS } from "./limits.ts";
import { lockOn } from "./locks.ts";
import { csrKey } from "./login.ts";

/**
 * A certificate of a user for a machine, which cannot log in. Given by the
 * administrator on the Auth host alone, and not bounded by the roles: what ends
 * it early is a lock, or the user's deletion.
 */
export async function signUser(
  core: Core,
  request: RequestOf<"user.sign">,
  context: CallContext,
): Promise<ResponseOf<"user.sign">> {
  const { authorities, clock } = core;
  const user = await core.store.find("user", request.user);
  if (user === undefined) throw new NotFoundError(`user ${JSON.stringify(request.user)} is not found`);
  const lock = await lockOn(core, { user: request.user, roles: user.spec.roles });
  if (lock !== undefined) throw new BadInputError(lock);
  const ttlMs = request.ttl_seconds === undefined ? DEFAULT_SIGNED_TTL_MS : request.ttl_seconds * 1000;
  if (ttlMs > MAX_SIGNED_TTL_MS) throw new BadInputError(`the longest life is ${MAX_SIGNED_TTL_MS / 3_600_000}h`);
  const now = clock.wallMs();
  const expires = now + ttlMs;
  const cert = await issueUserCert({
    ca: authorities.user,
    cluster: authorities.cluster,
    publicKeyPem: await csrKey(request.csr),
    user: request.user,
    roles: user.spec.roles,
    traits: user.spec.traits ?? {},
    now,
    expires,
  });
  const event = { ...actorOf(context), name: request.user, cert_type: "user", expires: iso(expires) } as const;
  // Before the answer: a certificate of which there is no record is not given away.
  await record(core, "cert.create", event);
  return {
    cert,
    cluster_name: authorities.cluster,
    host_cas: authorities.trusted("host"),
    expires: iso(expires),
    proxies: await proxyAddresses(core),
  };
}
