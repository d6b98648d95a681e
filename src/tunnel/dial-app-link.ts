import type { TLSSocket } from "node:tls";
import { isMalformed } from "../base/mod.ts";
import { Link, LinkClosedError } from "../link/mod.ts";
import { type HostIdentity, hostChecker, identityOf } from "../pki/mod.ts";
import { NoAgentError, ProxyUnreachableError, SessionUnknownError, UntrustedAgentError } from "./errors.ts";
import { CONNECT_TIMEOUT_MS, TOKEN_RETRIES } from "./limits.ts";
import type { RouteCounters } from "./route-counters.ts";
import { ANY_INSTANCE, encodeRouteToken, LINK_ALPN } from "./route-token.ts";
import { tlsCarrier } from "./tls-carrier.ts";
import { connectTls } from "./tls-ends.ts";
import type { Tools } from "./types.ts";

/** What `app_session.create` answered, with the key that stayed here. */
export interface AppSession {
  /** 32 hexadecimal digits. */
  readonly sessionId: string;
  readonly cluster: string;
  readonly certPem: string;
  readonly keyPem: string;
  readonly hostCas: readonly string[];
  readonly hostIds: readonly string[];
  /** 32 octets. */
  readonly routeKey: Uint8Array;
}

export interface DialAppLinkOptions extends Tools {
  session: AppSession;
  /** `host:port`, tried in this order. */
  proxies: readonly string[];
  routes: RouteCounters;
  /** 8 octets of this process. */
  instance: Uint8Array;
  /** Asked once when an agent is not among `hostIds`: `app_session.agents`. */
  refreshAgents?(signal: AbortSignal): Promise<AgentList>;
  signal?: AbortSignal;
  /** From OPEN to its answer, on the resulting link. */
  openTimeoutMs?: number;
}

export interface AgentList {
  readonly hostIds: readonly string[];
  readonly hostCas: readonly string[];
}

export interface AppLink {
  readonly link: Link;
  /** The agent that answered. */
  readonly agent: HostIdentity;
  /** The proxy that relays, `host:port`. */
  readonly proxy: string;
}

/**
 * A TLS connection to an agent of the session's app through one of the proxies,
 * and the link on it. Rejects with an error of this folder, LinkClosedError (the
 * agent's refusal) or the signal's reason.
 */
export async function dialAppLink(options: DialAppLinkOptions): Promise<AppLink> {
  const signal = options.signal ?? new AbortController().signal;
  const dialer = new Dialer(options, signal);
  let failure: unknown = new ProxyUnreachableError("(none)", new Error("the cluster has announced no proxy"));
  for (const proxy of options.proxies) {
    try {
      return await dialer.through(proxy);
    } catch (error) {
      signal.throwIfAborted();
      if (isFinal(error)) throw error;
      failure = error;
    }
  }
  throw failure;
}

/** The agent itself has spoken: another way to it gives the same answer. */
function isFinal(error: unknown): boolean {
  return error instanceof LinkClosedError && !error.retryable;
}

class Dialer {
  readonly #options: DialAppLinkOptions;
  readonly #signal: AbortSignal;
  #agents: AgentList;
  #refreshed = false;

  constructor(options: DialAppLinkOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#agents = options.session;
  }

  async through(proxy: string): Promise<AppLink> {
    const { socket, agent } = await this.#connect(proxy);
    const { clock, counters, log, instance, openTimeoutMs } = this.#options;
    const link = Link.client(tlsCarrier(socket), {
      clock,
      counters,
      log,
      instance,
      ...(openTimeoutMs !== undefined && { openTimeoutMs }),
    });
    const onAbort = () => link.close("shutdown");
    const timer = clock.after(CONNECT_TIMEOUT_MS, onAbort);
    this.#signal.addEventListener("abort", onAbort);
    try {
      await link.ready; // Only now has the agent accepted our certificate.
    } finally {
      timer.cancel();
      this.#signal.removeEventListener("abort", onAbort);
    }
    return { link, agent, proxy };
  }

  /** Handshakes until a token is accepted. */
  async #connect(proxy: string): Promise<{ socket: TLSSocket; agent: HostIdentity }> {
    for (let attempt = 0; attempt <= TOKEN_RETRIES; attempt++) {
      const outcome = await this.#handshake(proxy);
      if (typeof outcome !== "string") return outcome;
      if (outcome === "unknown-agent") {
        await this.#refreshAgents(proxy);
        attempt--; // The token was good. Once only: the refreshed list is final.
      }
    }
    throw new SessionUnknownError(proxy);
  }

  async #handshake(
    proxy: string,
  ): Promise<{ socket: TLSSocket; agent: HostIdentity } | "next-counter" | "unknown-agent"> {
    const { session } = this.#options;
    let unknownAgent = false;
    let untrusted: Error | undefined;
    const checker = hostChecker({
      cluster: session.cluster,
      roles: ["App"],
      hostIds: (hostId) => {
        unknownAgent = !this.#agents.hostIds.includes(hostId);
        return !unknownAgent;
      },
    });
    try {
      const socket = await connectTls({
        address: proxy,
        alpn: [LINK_ALPN, this.#token(proxy)],
        certPem: session.certPem,
        keyPem: session.keyPem,
        serverCas: this.#agents.hostCas,
        checkServerIdentity(host, peer) {
          untrusted = checker(host, peer);
          return untrusted;
        },
        timeoutMs: CONNECT_TIMEOUT_MS,
        signal: this.#signal,
      });
      return { socket, agent: agentOf(socket) };
    } catch (error) {
      this.#signal.throwIfAborted();
      if (unknownAgent && !this.#refreshed && this.#options.refreshAgents) return "unknown-agent";
      if (untrusted || isVerifyError(error)) throw new UntrustedAgentError(proxy, error);
      if (isAlert(error, "UNRECOGNIZED_NAME")) return "next-counter";
      if (isAlert(error, "INTERNAL_ERROR")) throw new NoAgentError(proxy);
      throw new ProxyUnreachableError(proxy, error);
    }
  }

  async #refreshAgents(proxy: string): Promise<void> {
    this.#refreshed = true;
    try {
      this.#agents = await this.#options.refreshAgents!(this.#signal);
    } catch (error) {
      this.#signal.throwIfAborted();
      throw new UntrustedAgentError(proxy, error);
    }
    this.#options.log.info(
      { agents: this.#agents.hostIds.length },
      "an agent was not known; asked for the present list",
    );
  }

  #token(proxy: string): string {
    const { session, routes } = this.#options;
    const { sessionId, cluster, routeKey } = session;
    const counter = routes.next(sessionId, proxy);
    return encodeRouteToken({ sessionId, instance: ANY_INSTANCE, counter }, cluster, routeKey);
  }
}

/** The checker has accepted it already. */
function agentOf(socket: TLSSocket): HostIdentity {
  const raw = socket.getPeerX509Certificate()?.raw;
  const identity = raw && identityOf(raw);
  if (!identity || isMalformed(identity) || identity.kind !== "host") throw new Error("not a host's certificate");
  return identity;
}

/** OpenSSL's names: `ERR_SSL_TLSV1_UNRECOGNIZED_NAME`, `ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR`. */
function isAlert(error: unknown, name: string): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === "string" && code.startsWith("ERR_SSL_TLSV1_") && code.endsWith(name);
}

/** The chain does not lead to the session's host authorities. */
function isVerifyError(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === "string" && /CERT|SIGNATURE|ISSUER|CA_/.test(code) && !code.startsWith("ERR_SSL");
}
