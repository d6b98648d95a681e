import type { AuthService } from "../../auth/mod.ts";
import { type Logger, OperationError } from "../../base/mod.ts";
import { fetchProxyTrust, splitHostPort } from "../../client/mod.ts";
import { readValue, type TeleportConfig } from "../../config/mod.ts";
import type { DialTcp } from "../../dial/mod.ts";
import { spkiPin } from "../../pki/mod.ts";
import { type HostRecord, hostUuid, loadIdentity, loadOrJoin, storeIdentity, tcpDial } from "../../rpc/mod.ts";

export class CannotJoinError extends OperationError {
  readonly code = "teleport.cannot-join";
}

export interface JoinSource {
  readonly config: TeleportConfig;
  /** Present where Auth runs in this process: no token is needed. */
  readonly auth: AuthService | undefined;
  readonly webRoots: { readonly certFile: string | undefined; readonly certDir: string | undefined };
  /** The way to the cluster, where it is not straight. */
  readonly dialTcp: DialTcp | undefined;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** The host's credentials for a service: from Auth in this process, from an earlier start, or by joining now. */
export async function hostIdentity(role: "Proxy" | "App", source: JoinSource): Promise<HostRecord> {
  const { auth, config } = source;
  if (auth !== undefined) {
    const hostId = await hostUuid(config.dataDir);
    return { hostId, ...(await auth.localIdentity(role, hostId)) };
  }
  const stored = await loadIdentity(config.dataDir, role);
  if (stored !== undefined) return stored;
  return join(role, source);
}

/** Where renewed credentials are kept: nowhere if Auth in this process makes new ones at each start. */
export function identityStore(
  role: "Proxy" | "App",
  { auth, config }: JoinSource,
): ((record: HostRecord) => Promise<void>) | undefined {
  return auth === undefined ? (record) => storeIdentity(config.dataDir, role, record) : undefined;
}

async function join(
  role: "Proxy" | "App",
  { config, webRoots, dialTcp, log, signal }: JoinSource,
): Promise<HostRecord> {
  const address = config.proxyServer ?? config.authServer;
  if (address === undefined || config.joinToken === undefined) {
    throw new CannotJoinError(
      `this ${role} Service has not joined a cluster yet: teleport.auth_token (from "tctl tokens add --type=${role.toLowerCase()}") ` +
        "and teleport.proxy_server or teleport.auth_server are needed at its first start",
    );
  }
  const pins = config.caPins.flatMap((pin) => readValue(pin, "the CA pin").split(/\s+/));
  if (pins.length === 0 && config.proxyServer !== undefined) {
    // The proxy's web certificate vouches for what it says of the cluster.
    const trust = await fetchProxyTrust(config.proxyServer, { insecure: false, ...webRoots, dialTcp });
    pins.push(...trust.host_cas.map(spkiPin));
  } else if (pins.length === 0) {
    log.warn({ address }, "joining without a CA pin: whoever answers at this address is believed; set teleport.ca_pin");
  }
  log.info({ address, role }, "joining the cluster");
  return loadOrJoin({
    dataDir: config.dataDir,
    role,
    join: {
      dial: tcpDial(address, dialTcp),
      pins,
      servername: config.proxyServer === undefined ? undefined : splitHostPort(config.proxyServer).host,
      token: readValue(config.joinToken, "the join token"),
      nodeName: config.nodename,
      signal,
    },
  });
}
