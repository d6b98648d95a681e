import type { RotationPhase } from "../api/mod.ts";
import type { Notary } from "../audit/mod.ts";
import { VERSION } from "../base/mod.ts";
import { spkiPin, validityOf } from "../pki/mod.ts";
import type { RpcHandlers } from "../rpc/mod.ts";
import type { AppSessions } from "./app-sessions.ts";
import { emitEvents, searchEvents, verifyAudit } from "./audit-calls.ts";
import { shownRotation } from "./ca-state.ts";
import { type Core, iso, userOf } from "./core.ts";
import type { Federation } from "./federation/federation.ts";
import { proxyAddresses } from "./heartbeats.ts";
import { joinHost, renewHost, type StaticToken } from "./joining.ts";
import { guarded } from "./locks.ts";
import type { Logins } from "./login.ts";
import type { Mfa } from "./mfa/mfa.ts";
import type { Registrations } from "./mfa/registrations.ts";
import type { RelayedConnections } from "./relayed.ts";
import type { Resources } from "./resources.ts";
import type { Rotations } from "./rotation.ts";
import { signUser } from "./signing.ts";
import type { UserLinks } from "./user-links.ts";
import { watchResources } from "./watch.ts";

export interface Parts {
  readonly core: Core;
  readonly logins: Logins;
  readonly links: UserLinks;
  readonly mfa: Mfa;
  readonly registrations: Registrations;
  readonly sessions: AppSessions;
  readonly resources: Resources;
  readonly rotations: Rotations;
  readonly staticTokens: readonly StaticToken[];
  readonly relayed: RelayedConnections;
  readonly notary: Notary;
  readonly federation: Federation;
}

/** The phases in which hosts leave the other key's certificates. */
function serversRenew(phase: RotationPhase | undefined): boolean {
  return phase === "update_servers" || phase === "rollback";
}

/**
 * The API's methods, each led to the part that carries it out. `hostsBehind`:
 * connected ones with certificates that are not by the key that signs.
 */
export function handlersOf(parts: Parts, hostsBehind: () => string[]): RpcHandlers {
  const { core, logins, links, sessions, resources, rotations, staticTokens, relayed, notary, federation } = parts;
  const { authorities, clock } = core;
  return guarded(core, {
    "cluster.ping": async () => ({
      cluster_name: authorities.cluster,
      version: VERSION,
      server_time: iso(clock.wallMs()),
      proxies: await proxyAddresses(core),
    }),
    "cluster.trust": () => ({
      cluster_name: authorities.cluster,
      generation: authorities.generation,
      host_cas: authorities.trusted("host"),
      vouchers: authorities.vouchers,
    }),
    "cluster.status": () => ({
      cluster_name: authorities.cluster,
      version: VERSION,
      ca_pins: authorities.trusted("host").map(spkiPin),
      authorities: (["host", "user"] as const).map((type) => {
        const rotation = shownRotation(authorities.state(type));
        return {
          type,
          fingerprint: spkiPin(authorities[type].certPem),
          not_after: iso(validityOf(authorities[type].certPem).to),
          ...(rotation !== undefined && { rotation }),
          ...(type === "host" && serversRenew(rotation?.phase) && { behind: hostsBehind() }),
        };
      }),
    }),
    "login.password": (request, context) => logins.password(request, context),
    "login.passwordless": (request, context) => logins.passwordless(request, context),
    "login.finish": (request, context) => logins.finish(request, context),
    "invite.read": ({ token }) => links.read(token),
    "invite.accept": (request, context) => links.accept(request, context),
    ...mfaHandlers(parts),
    "proxy.relay_key": (_, context) => relayed.key(context),
    "host.join": (request, context) => joinHost(core, staticTokens, request, context),
    "host.renew": ({ csr }, context) => renewHost(core, csr, context),
    "authority.rotate": (request, context) => rotations.rotate(request, context),
    "user.invite": (request, context) => links.invite(request, context),
    "user.reset": (request, context) => links.reset(request, context),
    "user.sign": (request, context) => signUser(core, request, context),
    "resource.create": async ({ resource }, context) => ({ resource: await resources.create(resource, context) }),
    "resource.update": async ({ resource }, context) => ({ resource: await resources.update(resource, context) }),
    "resource.upsert": async ({ resource }, context) => ({ resource: await resources.upsert(resource, context) }),
    "resource.get": async ({ kind, name }, context) => ({ resource: await resources.get(kind, name, context) }),
    "resource.delete": async ({ kind, name }, context) => {
      await resources.delete(kind, name, context);
      return {};
    },
    "resource.list": (request, context) => resources.list(request, context),
    "resource.watch": (request, context) => watchResources(core, request, context),
    "app_session.create": (request, context) => sessions.create(request, context),
    "app_session.renew": (request, context) => sessions.renew(request, context),
    "app_session.end": async ({ session_id }, context) => {
      await sessions.end(session_id, context);
      return {};
    },
    "app_session.agents": ({ session_id }, context) => sessions.agents(session_id, context),
    "app.agents": (request, context) => sessions.agentsFor(request, context),
    "trust.establish": (request, context) => federation.leaves.establish(request, context),
    "trust.renew": (request, context) => federation.leaves.renew(request, context),
    "audit.emit": async ({ events }, context) => {
      await emitEvents(core, events, context);
      return {};
    },
    "audit.search": async (request, context) => ({ events: await searchEvents(core, request, context) }),
    "audit.verify": (_, context) => verifyAudit(core, notary, context),
  });
}

/** Second factors: the user's own devices, and the proxy's pages that use passkeys. */
function mfaHandlers({ mfa, registrations }: Parts) {
  return {
    "approval.read": ({ id }) => mfa.readApproval(id),
    "approval.confirm": (request, context) => mfa.confirm(request, context),
    "approval.state": async ({ challenge_id }) => ({
      approved: (await mfa.challenges.find(challenge_id)).approved_by !== undefined,
    }),
    "mfa.list": (_, context) => registrations.list(userOf(context)),
    "mfa.challenge": ({ scope, app, cluster }, context) =>
      mfa.ask(
        {
          scope,
          user: userOf(context).user,
          ...(app !== undefined && { app }),
          ...(cluster !== undefined && { cluster }),
        },
        context,
      ),
    "mfa.register": (request, context) => registrations.register(request, userOf(context), context),
    "mfa.add": (request, context) => registrations.addOtp(request, userOf(context), context),
    "mfa.delete": (request, context) => registrations.remove(request, userOf(context), context),
    "registration.read": ({ id }) => registrations.readPage(id),
    "registration.confirm": (request, context) => registrations.addPasskey(request, context),
    "registration.state": (request, context) => registrations.state(request, userOf(context)),
  } satisfies Partial<RpcHandlers>;
}
