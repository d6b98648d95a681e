import { createHash, timingSafeEqual } from "node:crypto";
import { AccessDeniedError, RevisionMismatchError, type Token, type TokenRole } from "../api/mod.ts";
import { messageOf } from "../base/mod.ts";
import { generateKeyPair, type HostRole, issueHostCert } from "../pki/mod.ts";
import type { CallContext, HostCredentials, RpcHandlers } from "../rpc/mod.ts";
import { actorOf, type Core, record } from "./core.ts";
import { type HostBounds, UNBOUNDED } from "./host-bounds.ts";
import { MAX_USE_ATTEMPTS } from "./limits.ts";
import { lockOn } from "./locks.ts";
import { csrKey } from "./login.ts";
import { maskedToken } from "./record-write.ts";

/** A token of the configuration file: it never expires and is not a resource. */
export interface StaticToken {
  readonly token: string;
  readonly roles: readonly TokenRole[];
}

type JoinRequest = Parameters<RpcHandlers["host.join"]>[0];
type JoinAnswer = Awaited<ReturnType<RpcHandlers["host.join"]>>;

/** A host certificate for a token that allows the roles asked for. */
export async function joinHost(
  core: Core,
  staticTokens: readonly StaticToken[],
  request: JoinRequest,
  context: CallContext,
): Promise<JoinAnswer> {
  const { host_id, node_name, roles, token } = request;
  const event = {
    ...actorOf(context),
    user_kind: "system",
    host_id,
    node_name,
    role: roles.join(","),
    method: "token",
    token_name: maskedToken(token),
  } as const;
  try {
    const lock = await lockOn(core, { serverId: host_id });
    if (lock !== undefined) throw new AccessDeniedError(lock);
    const found = await findToken(core, staticTokens, token);
    demandRoles(roles, found.roles);
    if (roles.includes("App")) await core.bounds.settle(host_id, found.bounds);
    const cert = await issueHost(core, { publicKeyPem: await csrKey(request.csr), hostId: host_id, roles });
    // Last, so that a request that could not be granted uses nothing up.
    if (found.name !== undefined) await use(core, found.name);
    await record(core, "instance.join", { ...event, success: true });
    const { cluster, host, user } = core.authorities;
    return { cert, cluster_name: cluster, host_cas: [host.certPem], user_cas: [user.certPem] };
  } catch (error) {
    await record(core, "instance.join", { ...event, success: false, error: messageOf(error) });
    throw error;
  }
}

/** Credentials for a service in this very process: no token is needed where the authority's key is. */
export async function credentialsFor(core: Core, roles: readonly HostRole[], hostId: string): Promise<HostCredentials> {
  const { cluster, host, user } = core.authorities;
  const keys = await generateKeyPair();
  const certPem = await issueHost(core, { publicKeyPem: keys.publicKeyPem, hostId, roles });
  return { cluster, certPem, keyPem: keys.keyPem, hostCas: [host.certPem], userCas: [user.certPem] };
}

function issueHost(
  core: Core,
  o: { publicKeyPem: string; hostId: string; roles: readonly HostRole[] },
): Promise<string> {
  const { cluster, host } = core.authorities;
  return issueHostCert({ ca: host, cluster, now: core.clock.wallMs(), ...o });
}

interface FoundToken {
  readonly roles: readonly TokenRole[];
  readonly bounds: HostBounds;
  /** Of a resource, whose uses are counted. */
  readonly name?: string;
}

async function findToken(core: Core, fixed: readonly StaticToken[], token: string): Promise<FoundToken> {
  const configured = fixed.find((each) => sameSecret(each.token, token));
  if (configured !== undefined) return { roles: configured.roles, bounds: UNBOUNDED };
  const stored = await core.store.find("token", token);
  const expires = stored?.metadata.expires;
  const live = expires === undefined || Date.parse(expires) > core.clock.wallMs();
  if (stored === undefined || !live) {
    throw new AccessDeniedError("the join token is not valid or has expired: make a new one with tctl tokens add");
  }
  refuseUsedUp(stored);
  const { roles, app_names, public_addrs } = stored.spec;
  return { name: token, roles, bounds: { app_names: app_names ?? ["*"], public_addrs: public_addrs ?? ["*"] } };
}

/** Counts one use; two hosts at once cannot share the last one. */
async function use(core: Core, name: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const token = await core.store.find("token", name);
    if (token === undefined) throw new AccessDeniedError("the join token was deleted");
    if (token.spec.max_uses === undefined) return;
    refuseUsedUp(token);
    try {
      await core.store.update({ ...token, status: { uses: (token.status?.uses ?? 0) + 1 } });
      return;
    } catch (error) {
      if (!(error instanceof RevisionMismatchError) || attempt >= MAX_USE_ATTEMPTS) throw error;
    }
  }
}

function refuseUsedUp({ spec, status }: Token): void {
  if (spec.max_uses === undefined || (status?.uses ?? 0) < spec.max_uses) return;
  throw new AccessDeniedError(`the join token was used ${spec.max_uses} times, as often as it may be`);
}

function demandRoles(wanted: readonly string[], allowed: readonly string[]): void {
  const refused = wanted.find((role) => !allowed.includes(role));
  if (refused === undefined) return;
  throw new AccessDeniedError(`the join token does not allow the role ${refused} (it allows ${allowed.join(", ")})`);
}

function sameSecret(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
