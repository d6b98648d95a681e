import { createCsr, generateKeyPair, spkiPin } from "../pki/mod.ts";
import { RpcClient } from "../rpc/mod.ts";
import { dialProxy } from "./dial.ts";
import { TrustChangedError } from "./errors.ts";
import type { Profile } from "./profile.ts";
import { fetchProxyTrust, type ProxyFind, type ProxyTrust, type WebTrust } from "./web.ts";

export interface LoginOptions {
  readonly proxy: ProxyFind;
  readonly user: string;
  readonly password: string;
  readonly trust: WebTrust;
  /** `sha256:…` of a host CA's key; then the web certificate is not relied on. */
  readonly caPin?: string | undefined;
  readonly ttlSeconds?: number | undefined;
  /** An earlier login to the same proxy: its pinned CAs must still be the cluster's. */
  readonly known?: Profile | undefined;
}

/**
 * Logs in with a password. TLS runs from here to Auth, so the proxy sees
 * neither password nor key; it is believed only about the host CA, at the
 * first login (PROTOCOL: first trust).
 */
export async function loginWithPassword(o: LoginOptions): Promise<Profile> {
  const hostCas = await trustedCas(o);
  const keys = await generateKeyPair();
  await using rpc = new RpcClient({
    dial: (signal) => dialProxy(o.proxy.address, signal),
    trust: { cluster: o.proxy.cluster_name, hostCas },
    servername: o.proxy.host,
  });
  const answer = await rpc.call("login.password", {
    user: o.user,
    password: o.password,
    csr: await createCsr(keys),
    ...(o.ttlSeconds !== undefined && { ttl_seconds: o.ttlSeconds }),
  });
  return {
    name: o.proxy.host,
    proxyAddress: o.proxy.address,
    user: o.user,
    cluster: answer.cluster_name,
    trustGeneration: answer.generation,
    certPem: answer.cert,
    keyPem: keys.keyPem,
    // Auth itself says them, on a connection that the pinned CA vouched for.
    hostCas: answer.host_cas,
  };
}

async function trustedCas(o: LoginOptions): Promise<readonly string[]> {
  if (o.known !== undefined && o.known.cluster === o.proxy.cluster_name && o.caPin === undefined)
    return o.known.hostCas;
  // With a pin the web certificate adds nothing.
  const fetched = await fetchProxyTrust(
    o.proxy.address,
    o.caPin === undefined ? o.trust : { ...o.trust, insecure: true },
  );
  return o.caPin === undefined ? fetched.host_cas : pinned(fetched, o.caPin, o.proxy.address);
}

function pinned(fetched: ProxyTrust, pin: string, address: string): string[] {
  const matching = fetched.host_cas.filter((pem) => spkiPin(pem) === pin);
  if (matching.length > 0) return matching;
  const seen = fetched.host_cas.map(spkiPin).join(", ") || "none";
  throw new TrustChangedError(
    `the cluster behind ${address} does not have the host CA ${pin} (it has ${seen}): a wrong pin, or not your cluster`,
  );
}
