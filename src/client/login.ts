import type { MfaChallenge } from "../api/mod.ts";
import { isMalformed } from "../base/mod.ts";
import { createCsr, generateKeyPair, identityOf, spkiPin } from "../pki/mod.ts";
import { type ResponseOf, RpcClient } from "../rpc/mod.ts";
import { dialProxy } from "./dial.ts";
import { TrustChangedError } from "./errors.ts";
import { answerMfa, type MfaPerson } from "./mfa.ts";
import type { Profile } from "./profile.ts";
import { fetchProxyTrust, type ProxyFind, type ProxyTrust, type WebTrust } from "./web.ts";

export interface LoginOptions {
  readonly proxy: ProxyFind;
  /** Who logs in; with a passkey alone, the passkey says it. */
  readonly who: { readonly user: string; readonly password: string } | "passwordless";
  /** Asked for a second factor where the cluster demands one. */
  readonly person: MfaPerson;
  /** Ends the waiting, for Auth as for a passkey. */
  readonly signal: AbortSignal;
  readonly trust: WebTrust;
  /** `sha256:…` of a host CA's key; then the web certificate is not relied on. */
  readonly caPin?: string | undefined;
  readonly ttlSeconds?: number | undefined;
  /** An earlier login to the same proxy: its pinned CAs must still be the cluster's. */
  readonly known?: Profile | undefined;
}

/**
 * Logs in. TLS runs from here to Auth, so the proxy sees neither password nor
 * key nor code; it is believed only about the host CA, at the first login
 * (PROTOCOL: first trust). A passkey is used on the proxy's own page.
 */
export async function logIn(o: LoginOptions): Promise<Profile> {
  const hostCas = await trustedCas(o);
  const keys = await generateKeyPair();
  await using rpc = new RpcClient({
    dial: (signal) => dialProxy(o.proxy.address, signal, o.trust.dialTcp),
    trust: { cluster: o.proxy.cluster_name, hostCas },
    servername: o.proxy.host,
  });
  const answer = await ask(rpc, o, await createCsr(keys));
  return {
    name: o.proxy.host,
    proxyAddress: o.proxy.address,
    user: userOf(answer.cert),
    cluster: answer.cluster_name,
    trustGeneration: answer.generation,
    certPem: answer.cert,
    keyPem: keys.keyPem,
    // Auth itself says them, on a connection that the pinned CA vouched for.
    hostCas: answer.host_cas,
  };
}

type Login = ResponseOf<"login.finish">;

async function ask(rpc: RpcClient, o: LoginOptions, csr: string): Promise<Login> {
  const wanted = { csr, ...(o.ttlSeconds !== undefined && { ttl_seconds: o.ttlSeconds }) };
  const { login, mfa } =
    o.who === "passwordless"
      ? { login: undefined, ...(await rpc.call("login.passwordless", wanted, { signal: o.signal })) }
      : await rpc.call("login.password", { ...o.who, ...wanted }, { signal: o.signal });
  if (login !== undefined) return login;
  return rpc.call("login.finish", { mfa: await answerMfa(rpc, demanded(mfa), o.person, o.signal) });
}

/** Auth gives one of the two. */
function demanded(mfa: MfaChallenge | undefined): MfaChallenge {
  if (mfa !== undefined) return mfa;
  throw new TrustChangedError("Auth answered the login with neither a certificate nor a question");
}

function userOf(certPem: string): string {
  const identity = identityOf(certPem);
  if (!isMalformed(identity) && identity.kind === "user") return identity.user;
  throw new TrustChangedError("Auth answered the login with a certificate that is no user's");
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
