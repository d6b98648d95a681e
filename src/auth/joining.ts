import { createHash, timingSafeEqual } from "node:crypto";
import { AccessDeniedError, maskedToken, RevisionMismatchError, type Token, type TokenRole } from "../api/mod.ts";
import { messageOf } from "../base/mod.ts";
import { generateKeyPair, type HostRole, issueHostCert, type KeyedCert } from "../pki/mod.ts";
import type { CallContext, HostCredentials, RpcHandlers } from "../rpc/mod.ts";
import { actorOf, type Core, record } from "./core.ts";
import { type HostBounds, UNBOUNDED } from "./host-bounds.ts";
import { MAX_USE_ATTEMPTS } from "./limits.ts";
import { lockOn } from "./locks.ts";
import { csrKey } from "./login.ts";

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
    if (found.name !== undefined) await useToken(core, found.name);
    await record(core, "instance.join", { ...event, success: true });
    return { cert, ...bundleOf(core) };
  } catch (error) {
    await record(core, "instance.join", { ...event, success: false, error: messageOf(error) });
    throw error;
  }
}

/** Credentials for a service in this very process: no token is needed where the authority's key is. */
export async function credentialsFor(core: Core, roles: readonly HostRole[], hostId: string): Promise<HostCredentials> {
  const { cluster, host, server } = core.authorities;
  const keys = await generateKeyPair();
  const ca = roles.includes("Auth") ? server : host;
  const certPem = await issueHost(core, { publicKeyPem: keys.publicKeyPem, hostId, roles, ca });
  const { host_cas, user_cas } = bundleOf(core);
  return { cluster, certPem, keyPem: keys.keyPem, hostCas: host_cas, userCas: user_cas };
}

/** Another certificate for a host that shows one: the same uuid and roles, by the present authority. */
export async function renewHost(core: Core, csr: string, { caller }: CallContext): Promise<JoinAnswer> {
  if (caller.kind !== "host") throw new AccessDeniedError("only a host renews its certificate");
  const { hostId, roles } = caller;
  const cert = await issueHost(core, { publicKeyPem: await csrKey(csr), hostId, roles });
  return { cert, ...bundleOf(core) };
}

function bundleOf({ authorities }: Core) {
  return {
    cluster_name: authorities.cluster,
    host_cas: authorities.trusted("host"),
    user_cas: authorities.trusted("user"),
  };
}

/** With the certificates behind it that lead those who know only a former authority to the present one. */
async function issueHost(
  core: Core,
  o: { publicKeyPem: string; hostId: string; roles: readonly HostRole[]; ca?: KeyedCert },
): Promise<string> {
  const { cluster, host, hostChain } = core.authorities;
  return `${await issueHostCert({ ca: host, cluster, now: core.clock.wallMs(), ...o })}\n${hostChain}`;
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

/** The tokens of a role that are good now; the name of one that is a resource, whose uses are counted. */
export async function liveTokens(
  core: Core,
  fixed: readonly StaticToken[],
  role: TokenRole,
): Promise<{ secret: string; name?: string }[]> {
  const now = core.clock.wallMs();
  const stored = (await core.store.list("token")).filter(
    ({ metadata, spec, status }) =>
      spec.roles.includes(role) &&
      (metadata.expires === undefined || Date.parse(metadata.expires) > now) &&
      (spec.max_uses === undefined || (status?.uses ?? 0) < spec.max_uses),
  );
  return [
    ...fixed.filter(({ roles }) => roles.includes(role)).map(({ token }) => ({ secret: token })),
    ...stored.map(({ metadata: { name } }) => ({ secret: name, name })),
  ];
}

/** Counts one use; two hosts at once cannot share the last one. */
export async function useToken(core: Core, name: string): Promise<void> {
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
