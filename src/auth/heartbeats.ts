import {
  AccessDeniedError,
  AlreadyExistsError,
  type AppServer,
  type Kind,
  type Proxy as ProxyResource,
  type Resource,
} from "../api/mod.ts";
import type { HostIdentity } from "../pki/mod.ts";
import type { CallContext } from "../rpc/mod.ts";
import { hostOf } from "./app-servers.ts";
import { actorOf, type Core, iso, record } from "./core.ts";
import { HEARTBEAT_TTL_MS } from "./limits.ts";

/** A host's announcement of itself: it lapses by Auth's clock unless renewed. */
export async function announce(
  core: Core,
  host: HostIdentity,
  resource: Resource,
  context: CallContext,
): Promise<Resource> {
  switch (resource.kind) {
    case "app_server":
      demandOwn(host, "App", resource.spec.host_id);
      await refuseOutOfBounds(core, host, resource, context);
      await refuseTakenAddress(core, resource, context);
      return core.servers.put(lapsing(core, resource));
    case "proxy":
      demandOwn(host, "Proxy", resource.metadata.name);
      return core.store.announce(lapsing(core, resource));
    default:
      throw new AccessDeniedError(`a host may not write ${resource.kind}`);
  }
}

/** A host takes back what it announced. */
export async function withdraw(core: Core, host: HostIdentity, kind: Kind, name: string): Promise<void> {
  if (kind === "proxy") demandOwn(host, "Proxy", name);
  else if (kind === "app_server") demandOwn(host, "App", (await core.store.get(kind, name)).spec.host_id);
  else throw new AccessDeniedError(`a host may not delete ${kind}`);
  await core.store.delete(kind, name);
}

function demandOwn(host: HostIdentity, role: "App" | "Proxy", hostId: string): void {
  if (!host.roles.includes(role)) throw new AccessDeniedError(`only a host with role ${role} may announce this`);
  if (hostId !== host.hostId) throw new AccessDeniedError(`host ${host.hostId} may not speak for host ${hostId}`);
}

/** The host's clock may be wrong: Auth's decides, and no announcement lives longer than ten minutes. */
function lapsing<R extends AppServer | ProxyResource>(core: Core, resource: R): R {
  const now = core.clock.wallMs();
  const wanted = Date.parse(resource.metadata.expires ?? "") - now;
  const ttlMs = wanted > 0 ? Math.min(wanted, HEARTBEAT_TTL_MS) : HEARTBEAT_TTL_MS;
  return { ...resource, metadata: { ...resource.metadata, expires: iso(now + ttlMs) } };
}

/** A name leads to one app: never to two, and never away from a proxy. */
async function refuseTakenAddress(core: Core, server: AppServer, context: CallContext): Promise<void> {
  const { metadata, spec } = server.spec.app;
  const address = hostOf(spec.public_addr ?? "");
  if (address === "") return;
  const holder = await holderOf(core, address, metadata.name);
  if (holder === undefined) return;
  const message = `public_addr ${JSON.stringify(address)} of app ${JSON.stringify(metadata.name)} belongs to ${holder}`;
  await recordRefused(core, server, context, message);
  throw new AlreadyExistsError(message);
}

/** A join token may say which apps its hosts are for. */
async function refuseOutOfBounds(
  core: Core,
  host: HostIdentity,
  server: AppServer,
  context: CallContext,
): Promise<void> {
  const message = await core.bounds.objection(host.hostId, server);
  if (message === undefined) return;
  await recordRefused(core, server, context, message);
  throw new AccessDeniedError(message);
}

function recordRefused(core: Core, { spec }: AppServer, context: CallContext, error: string): Promise<void> {
  const { app } = spec;
  return record(core, "app.create", {
    ...actorOf(context),
    name: app.metadata.name,
    app_uri: app.spec.uri,
    app_public_addr: app.spec.public_addr ?? "",
    server_id: spec.host_id,
    server_hostname: spec.hostname,
    success: false,
    error,
  });
}

async function holderOf(core: Core, address: string, appName: string): Promise<string | undefined> {
  for await (const proxy of core.store.each("proxy")) {
    if (addressesOf(proxy).map(hostOf).includes(address)) return "a proxy";
  }
  const others = (await core.servers.at(address)).map(({ spec }) => spec.app.metadata.name);
  const other = others.find((name) => name !== appName);
  return other === undefined ? undefined : `app ${JSON.stringify(other)}`;
}

/** Where clients reach a proxy, `host:port`: as configured, else where its agents do. */
export function addressesOf({ spec }: ProxyResource): readonly string[] {
  return spec.public_addrs.length > 0 ? spec.public_addrs : [spec.tunnel_public_addr];
}

/** The proxies' addresses for clients. */
export async function proxyAddresses(core: Core): Promise<string[]> {
  const addresses: string[] = [];
  for await (const proxy of core.store.each("proxy")) addresses.push(...addressesOf(proxy));
  return [...new Set(addresses)];
}
