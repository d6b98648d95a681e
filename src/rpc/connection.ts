import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { isMalformed, messageOf } from "../base/mod.ts";
import { authorityOf, hostChecker, TLS_DEFAULTS } from "../pki/mod.ts";
import { ConnectionLostError, UntrustedServerError } from "./errors.ts";
import { leafEntry } from "./leaf-alpn.ts";
import { API_ALPN, HANDSHAKE_TIMEOUT_MS, MAX_RESPONSE_LEN, WINDOW_LEN } from "./limits.ts";
import { probe } from "./probe.ts";

/** Raw octets to Auth's TLS port: direct TCP, or through a proxy's relay. */
export type Dial = (signal: AbortSignal) => Promise<Duplex>;

export interface ClientIdentity {
  readonly certPem: string;
  readonly keyPem: string;
}

/** The host authorities of the cluster that must answer. `cluster`: by default the one they state. */
export interface ClusterTrust {
  readonly cluster?: string;
  readonly hostCas: readonly string[];
}

export interface ConnectOptions {
  dial: Dial;
  /** `undefined`: anybody may answer; only `fetchTrust` looks at the peer afterwards. */
  trust: ClusterTrust | undefined;
  identity?: ClientIdentity | undefined;
  /** For a relay's dispatch: the proxy's public name. */
  servername?: string | undefined;
  /** The API of this leaf cluster of the proxy's own is meant. */
  leaf?: string | undefined;
}

/** Dials, shakes hands and starts HTTP/2. The session's end is the connection's end. */
export async function connectApi(
  o: ConnectOptions,
  signal: AbortSignal,
): Promise<{ session: ClientHttp2Session; tls: TLSSocket }> {
  const bound = AbortSignal.any([signal, AbortSignal.timeout(HANDSHAKE_TIMEOUT_MS)]);
  const raw = await dialOrExplain(o.dial, bound);
  const tls = connectTls({ ...tlsOptions(o), socket: raw });
  try {
    await secured(tls, raw, bound);
  } catch (error) {
    tls.destroy();
    raw.destroy();
    throw error;
  }
  return { session: startHttp2(tls), tls };
}

async function dialOrExplain(dial: Dial, signal: AbortSignal): Promise<Duplex> {
  try {
    return await dial(signal);
  } catch (error) {
    throw new ConnectionLostError(`cannot reach the Auth Service: ${messageOf(error)}`, { cause: error });
  }
}

function tlsOptions(o: ConnectOptions): ConnectionOptions {
  const common: ConnectionOptions = {
    ...TLS_DEFAULTS,
    ALPNProtocols: o.leaf === undefined ? [API_ALPN] : [API_ALPN, leafEntry(o.leaf)],
    ...(o.identity && { cert: o.identity.certPem, key: o.identity.keyPem }),
    // RFC 6066 §3 allows names only.
    ...(o.servername && isIP(o.servername) === 0 && { servername: o.servername }),
  };
  if (o.trust === undefined) return { ...common, rejectUnauthorized: false };
  const cluster = o.trust.cluster ?? clusterOf(o.trust.hostCas);
  return {
    ...common,
    ca: [...o.trust.hostCas],
    checkServerIdentity: hostChecker({ cluster, roles: ["Auth"] }),
  };
}

function clusterOf(hostCas: readonly string[]): string {
  const authority = authorityOf(hostCas[0] ?? "");
  if (isMalformed(authority)) throw new UntrustedServerError("the known host authority is not one");
  return authority.cluster;
}

function secured(tls: TLSSocket, raw: Duplex, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      signal.removeEventListener("abort", onAbort);
      raw.removeListener("close", onClose);
      if (error) reject(error);
      else resolve();
    };
    const onAbort = () => settle(lost("the Auth Service does not answer", signal.reason));
    const onClose = () => settle(lost("the connection closed during the handshake"));
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    raw.once("close", onClose);
    // Stays attached: later errors end the HTTP/2 session, which has its own listener.
    tls.on("error", (error: NodeJS.ErrnoException) => settle(explain(error)));
    tls.once("secureConnect", () => {
      if (tls.alpnProtocol === API_ALPN) settle();
      else settle(new UntrustedServerError("the server does not speak the cluster's API: is this address a proxy?"));
    });
  });
}

function lost(what: string, cause?: unknown): ConnectionLostError {
  return new ConnectionLostError(`${what}: check that it runs and can be reached`, { cause });
}

/** OpenSSL's verification failures and the host check's are not a matter of trying again. */
function explain(error: NodeJS.ErrnoException): Error {
  const untrusted = /^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|INVALID_CA|HOSTNAME_|ERR_TLS_CERT)/.test(
    error.code ?? "",
  );
  if (untrusted || error.message.startsWith("the server is not")) {
    return new UntrustedServerError(`the server is not this cluster's Auth Service: ${error.message}`, {
      cause: error,
    });
  }
  return new ConnectionLostError(`connection to the Auth Service failed: ${error.message}`, { cause: error });
}

function startHttp2(tls: TLSSocket): ClientHttp2Session {
  const session = connectHttp2("https://auth", {
    createConnection: () => tls,
    settings: { initialWindowSize: WINDOW_LEN, enablePush: false },
    maxSessionMemory: (2 * MAX_RESPONSE_LEN) / 1e6,
  });
  session.on("error", () => {}); // Each request is told by its own stream.
  session.once("connect", () => session.setLocalWindowSize(WINDOW_LEN));
  probe(session);
  return session;
}
