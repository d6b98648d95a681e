import { isMalformed } from "../base/mod.ts";
import { authorityOf, createCsr, generateKeyPair, type HostRole, pinsVouchingFor, verifyChain } from "../pki/mod.ts";
import { callOn } from "./call.ts";
import { RpcClient } from "./client.ts";
import { connectApi, type Dial } from "./connection.ts";
import type { Method, RequestOf, ResponseOf } from "./contract.ts";
import { UntrustedServerError } from "./errors.ts";
import { CALL_TIMEOUT_MS } from "./limits.ts";

export interface Trust {
  readonly cluster: string;
  readonly hostCas: readonly string[];
  readonly generation: number;
}

export interface FetchTrustOptions {
  dial: Dial;
  /** `sha256:…`, one of which must be the answering cluster's. Empty or absent: trust on first use. */
  pins?: readonly string[];
  servername?: string | undefined;
  signal?: AbortSignal;
}

/**
 * Asks an unverified server for its host authorities, then checks that the
 * server of that very connection was issued by one of them, and with pins that
 * this one is pinned: then the whole answer is the pinned cluster's word.
 */
export async function fetchTrust(o: FetchTrustOptions): Promise<Trust> {
  const timeout = AbortSignal.timeout(CALL_TIMEOUT_MS);
  const signal = o.signal ? AbortSignal.any([o.signal, timeout]) : timeout;
  const { session, tls } = await connectApi({ dial: o.dial, trust: undefined, servername: o.servername }, signal);
  try {
    const { raw } = tls.getPeerCertificate();
    const { cluster_name, host_cas, generation, vouchers } = await callOn(session, "cluster.trust", {}, signal);
    const trust = { cluster: cluster_name, hostCas: host_cas, generation };
    checkTrust(trust, raw, { pins: o.pins ?? [], vouchers: vouchers ?? [] });
    return trust;
  } finally {
    session.destroy();
  }
}

/**
 * One call to a server that nobody vouches for yet. The caller believes of the
 * answer what the answer itself proves, and nothing else.
 */
export async function callUnverified<M extends Method>(
  o: Pick<FetchTrustOptions, "dial" | "servername" | "signal">,
  method: M,
  request: RequestOf<M>,
): Promise<ResponseOf<M>> {
  const timeout = AbortSignal.timeout(CALL_TIMEOUT_MS);
  const signal = o.signal ? AbortSignal.any([o.signal, timeout]) : timeout;
  const { session } = await connectApi({ dial: o.dial, trust: undefined, servername: o.servername }, signal);
  try {
    return await callOn(session, method, request, signal);
  } finally {
    session.destroy();
  }
}

function checkTrust(
  trust: Trust,
  serverCert: Uint8Array,
  { pins, vouchers }: { pins: readonly string[]; vouchers: readonly string[] },
): void {
  for (const ca of trust.hostCas) {
    const authority = authorityOf(ca);
    if (isMalformed(authority) || authority.type !== "host" || authority.cluster !== trust.cluster) {
      throw new UntrustedServerError("the server offers authorities that are not its cluster's");
    }
  }
  const vouching = trust.hostCas.filter((ca) => {
    const identity = verifyChain(serverCert, [ca], Date.now());
    return !isMalformed(identity) && identity.kind === "host" && identity.roles.includes("Auth");
  });
  if (vouching.length === 0)
    throw new UntrustedServerError("the server is not the Auth Service of the cluster it claims");
  const wanted = pins.map((pin) => pin.trim().toLowerCase());
  // While the authority is replaced, the pin may be of the key that did not sign this server's certificate.
  const found = vouching.flatMap((ca) => pinsVouchingFor(ca, trust.hostCas, vouchers));
  if (wanted.length === 0 || found.some((pin) => wanted.includes(pin))) return;
  throw new UntrustedServerError(
    `cluster ${JSON.stringify(trust.cluster)} does not have the CA pin that was given (it has ${found.join(", ")}): check ca_pin, and that the address is right`,
  );
}

export interface JoinOptions extends FetchTrustOptions {
  token: string;
  roles: readonly Exclude<HostRole, "Auth">[];
  hostId: string;
  nodeName: string;
}

export interface HostCredentials {
  readonly cluster: string;
  readonly certPem: string;
  readonly keyPem: string;
  readonly hostCas: readonly string[];
  readonly userCas: readonly string[];
}

/** Makes a key here and has Auth sign a host certificate for it, against a token. */
export async function joinCluster(o: JoinOptions): Promise<HostCredentials> {
  const trust = await fetchTrust(o);
  await using client = new RpcClient({ dial: o.dial, trust, servername: o.servername });
  const keys = await generateKeyPair();
  const csr = await createCsr(keys);
  const request = { token: o.token.trim(), roles: [...o.roles], host_id: o.hostId, node_name: o.nodeName, csr };
  const answer = await client.call("host.join", request, o.signal ? { signal: o.signal } : {});
  return {
    cluster: answer.cluster_name,
    certPem: answer.cert,
    keyPem: keys.keyPem,
    hostCas: answer.host_cas,
    userCas: answer.user_cas,
  };
}
