import { createHash, timingSafeEqual } from "node:crypto";
import { AccessDeniedError, type TokenRole } from "../api/mod.ts";
import { messageOf } from "../base/mod.ts";
import { generateKeyPair, type HostRole, issueHostCert } from "../pki/mod.ts";
import type { CallContext, HostCredentials, RpcHandlers } from "../rpc/mod.ts";
import { actorOf, type Core, record } from "./core.ts";
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
    demandRoles(roles, await rolesOfToken(core, staticTokens, token));
    const cert = await issueHost(core, { publicKeyPem: await csrKey(request.csr), hostId: host_id, roles });
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

async function rolesOfToken(core: Core, fixed: readonly StaticToken[], token: string): Promise<readonly TokenRole[]> {
  const configured = fixed.find((each) => sameSecret(each.token, token));
  if (configured !== undefined) return configured.roles;
  const stored = await core.store.find("token", token);
  const expires = stored?.metadata.expires;
  const live = expires === undefined || Date.parse(expires) > core.clock.wallMs();
  if (stored !== undefined && live) return stored.spec.roles;
  throw new AccessDeniedError("the join token is not valid or has expired: make a new one with tctl tokens add");
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
