import type { Notary } from "../audit/mod.ts";
import { VERSION } from "../base/mod.ts";
import { spkiPin, validityOf } from "../pki/mod.ts";
import type { RpcHandlers } from "../rpc/mod.ts";
import type { AppSessions } from "./app-sessions.ts";
import { emitEvents, searchEvents, verifyAudit } from "./audit-calls.ts";
import { shownRotation } from "./ca-state.ts";
import { type Core, iso } from "./core.ts";
import type { Federation } from "./federation/federation.ts";
import { proxyAddresses } from "./heartbeats.ts";
import type { Invites } from "./invites.ts";
import { joinHost, renewHost, type StaticToken } from "./joining.ts";
import { guarded } from "./locks.ts";
import { loginByPassword } from "./login.ts";
import type { LoginLimits } from "./login-limits.ts";
import type { Passwords } from "./passwords.ts";
import { ProxyAddresses } from "./proxy-addresses.ts";
import type { Resources } from "./resources.ts";
import type { Rotations } from "./rotation.ts";
import { signUser } from "./signing.ts";
import { watchResources } from "./watch.ts";

export interface Parts {
  readonly core: Core;
  readonly passwords: Passwords;
  readonly invites: Invites;
  readonly sessions: AppSessions;
  readonly resources: Resources;
  readonly rotations: Rotations;
  readonly staticTokens: readonly StaticToken[];
  readonly limits: LoginLimits;
  readonly notary: Notary;
  readonly federation: Federation;
}

/** The API's methods, each led to the part that carries it out. */
export function handlersOf({
  core,
  passwords,
  invites,
  sessions,
  resources,
  rotations,
  staticTokens,
  limits,
  notary,
  federation,
}: Parts): RpcHandlers {
  const { authorities, clock } = core;
  const proxies = new ProxyAddresses();
  const addressOf = (remote: string) => proxies.whoIs(remote);
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
        };
      }),
    }),
    "login.password": (request, context) => loginByPassword(core, { passwords, limits, addressOf }, request, context),
    "invite.read": ({ token }) => invites.read(token),
    "invite.accept": ({ token, password }, context) => invites.accept(token, password, context),
    "host.join": (request, context) => joinHost(core, staticTokens, request, context),
    "host.renew": ({ csr }, context) => renewHost(core, csr, context),
    "authority.rotate": (request, context) => rotations.rotate(request, context),
    "user.invite": (request, context) => invites.create(request, context),
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
    "resource.watch": ({ kinds }, context) => {
      proxies.note(context);
      return watchResources(core, kinds, context);
    },
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
