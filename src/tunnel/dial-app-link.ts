import type { TLSSocket } from "node:tls";
import { isMalformed, toHex } from "../base/mod.ts";
import type { DialTcp } from "../dial/mod.ts";
import { type Carrier, Link, type LinkBudget, LinkClosedError, linkLimits, Redialer } from "../link/mod.ts";
import { type HostIdentity, hostChecker, identityOf } from "../pki/mod.ts";
import { NoAgentError, ProxyUnreachableError, SessionUnknownError, UntrustedAgentError } from "./errors.ts";
import { CONNECT_TIMEOUT_MS, NEXT_PROXY_MS, TOKEN_RETRIES } from "./limits.ts";
import type { RouteCounters } from "./route-counters.ts";
import { ANY_INSTANCE, encodeRouteToken, LINK_ALPN } from "./route-token.ts";
import { staggered } from "./staggered.ts";
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
  /** `host:port`, tried in this order; one that does not answer at once is not waited for. */
  proxies: readonly string[];
  routes: RouteCounters;
  /** 8 octets of this process. */
  instance: Uint8Array;
  /** Asked once when an agent is not among `hostIds`: `app_session.agents`. */
  refreshAgents?(signal: AbortSignal): Promise<AgentList>;
  /** Asked before each new carrier of the link: certificate and proxies as they are then. `refused`: the agent may not have liked the last one. */
  present?(signal: AbortSignal, refused: boolean): Promise<{ session: AppSession; proxies: readonly string[] }>;
  /** The way to proxies, where it is not straight. */
  dialTcp?: DialTcp;
  /** Of this process, for all of its links together. */
  budget?: LinkBudget;
  /** The link goes on over other connections when it loses one, while the agent allows it. False: it ends. */
  resume?: boolean;
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
  /** The proxy that relayed its first carrier, `host:port`. */
  readonly proxy: string;
  /** The addresses or routes of this machine have changed: its carriers show soon whether they live. */
  networkChanged(): void;
  /** There is another certificate: new carriers take the place of the present ones, without a pause that shows. */
  replaceCarriers(): void;
}

/**
 * A TLS connection to an agent of the session's app through one of the proxies,
 * and the link on it. Rejects with an error of this folder, LinkClosedError (the
 * agent's refusal) or the signal's reason.
 */
export async function dialAppLink(options: DialAppLinkOptions): Promise<AppLink> {
  const signal = options.signal ?? new AbortController().signal;
  const dialer = new Dialer(options);
  const { link, agent, proxy } = await dialer.anyProxy(
    signal,
    (address, attempt) => dialer.link(address, attempt),
    (late) => late.link.close("done"),
  );
  const { instance, resumeMs } = await link.ready;
  if (resumeMs === 0) return { link, agent, proxy, networkChanged: () => link.probe(), replaceCarriers: () => {} };
  const redialer = new Redialer({
    link,
    clock: options.clock,
    log: options.log,
    isAgentMissing: (error) => error instanceof NoAgentError || error instanceof SessionUnknownError,
    dial: (attempt, refused) => dialer.carrierTo(agent, instance, AbortSignal.any([attempt, signal]), refused),
  });
  return {
    ...{ link, agent, proxy },
    networkChanged: () => redialer.networkChanged(),
    replaceCarriers: () => redialer.replaceAll(),
  };
}

/** The agent itself has spoken: another way to it gives the same answer. */
function isFinal(error: unknown): boolean {
  return error instanceof LinkClosedError && !error.retryable;
}

interface Connected {
  readonly socket: TLSSocket;
  readonly agent: HostIdentity;
}

class Dialer {
  readonly #options: DialAppLinkOptions;
  #session: AppSession;
  #proxies: readonly string[];
  #agents: AgentList;
  #refreshed = false;

  constructor(options: DialAppLinkOptions) {
    this.#options = options;
    this.#session = options.session;
    this.#proxies = options.proxies;
    this.#agents = options.session;
  }

  /** The first that succeeds, by whichever proxy; `drop` ends those that come after it. */
  anyProxy<T>(
    signal: AbortSignal,
    attempt: (proxy: string, signal: AbortSignal) => Promise<T>,
    drop: (late: T) => void,
  ): Promise<T> {
    const none = new ProxyUnreachableError("(none)", new Error("the cluster has announced no proxy"));
    if (this.#proxies.length === 0) return Promise.reject(none);
    const { clock } = this.#options;
    return staggered(this.#proxies, { attempt, drop, isFinal, worse, signal, clock, staggerMs: NEXT_PROXY_MS });
  }

  async link(proxy: string, signal: AbortSignal): Promise<{ link: Link; agent: HostIdentity; proxy: string }> {
    const { socket, agent } = await this.#connect(proxy, ANY_INSTANCE, signal);
    const { clock, counters, log, instance, budget, openTimeoutMs, resume = false } = this.#options;
    const link = Link.client(tlsCarrier(socket), {
      clock,
      counters,
      log,
      instance,
      // The agent says how long and how many; we agree to anything.
      ...(resume && { resumeMs: 2 ** 32 - 1, transports: linkLimits.MAX_TRANSPORTS }),
      ...(budget && { budget }),
      ...(openTimeoutMs !== undefined && { openTimeoutMs }),
    });
    const onAbort = () => link.close("shutdown");
    const timer = clock.after(CONNECT_TIMEOUT_MS, onAbort);
    signal.addEventListener("abort", onAbort);
    try {
      await link.ready; // Only now has the agent accepted our certificate.
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
    }
    return { link, agent, proxy };
  }

  /** One more carrier to the very process that a link is with. */
  async carrierTo(agent: HostIdentity, instance: Uint8Array, signal: AbortSignal, refused: boolean): Promise<Carrier> {
    const present = await this.#options.present?.(signal, refused);
    if (present !== undefined) this.#use(present);
    const attempt = async (proxy: string, bound: AbortSignal) => {
      const connected = await this.#connect(proxy, toHex(instance), bound);
      if (connected.agent.hostId === agent.hostId) return connected.socket;
      connected.socket.destroy();
      throw new UntrustedAgentError(proxy, new Error(`it is ${connected.agent.hostId}, and not ${agent.hostId}`));
    };
    return tlsCarrier(await this.anyProxy(signal, attempt, (late) => late.destroy()));
  }

  #use({ session, proxies }: { session: AppSession; proxies: readonly string[] }): void {
    if (session.certPem !== this.#session.certPem) {
      // Auth has named the agents and their authorities anew with it.
      this.#agents = session;
      this.#refreshed = false;
    }
    this.#session = session;
    this.#proxies = proxies;
  }

  /** Handshakes until a token is accepted. */
  async #connect(proxy: string, instance: string, signal: AbortSignal): Promise<Connected> {
    for (let attempt = 0; attempt <= TOKEN_RETRIES; attempt++) {
      const outcome = await this.#handshake(proxy, instance, signal);
      if (typeof outcome !== "string") return outcome;
      if (outcome === "unknown-agent") {
        await this.#refreshAgents(proxy, signal);
        attempt--; // The token was good. Once only: the refreshed list is final.
      }
    }
    throw new SessionUnknownError(proxy);
  }

  async #handshake(
    proxy: string,
    instance: string,
    signal: AbortSignal,
  ): Promise<Connected | "next-counter" | "unknown-agent"> {
    const session = this.#session;
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
        alpn: [LINK_ALPN, this.#token(proxy, instance)],
        certPem: session.certPem,
        keyPem: session.keyPem,
        serverCas: this.#agents.hostCas,
        dialTcp: this.#options.dialTcp,
        checkServerIdentity(host, peer) {
          untrusted = checker(host, peer);
          return untrusted;
        },
        timeoutMs: CONNECT_TIMEOUT_MS,
        signal,
      });
      return { socket, agent: agentOf(socket) };
    } catch (error) {
      signal.throwIfAborted();
      if (unknownAgent && !this.#refreshed && this.#options.refreshAgents) return "unknown-agent";
      if (untrusted || isVerifyError(error)) throw new UntrustedAgentError(proxy, error);
      if (isAlert(error, "UNRECOGNIZED_NAME")) return "next-counter";
      if (isAlert(error, "INTERNAL_ERROR")) throw new NoAgentError(proxy);
      throw new ProxyUnreachableError(proxy, error);
    }
  }

  async #refreshAgents(proxy: string, signal: AbortSignal): Promise<void> {
    this.#refreshed = true;
    try {
      this.#agents = await this.#options.refreshAgents!(signal);
    } catch (error) {
      signal.throwIfAborted();
      throw new UntrustedAgentError(proxy, error);
    }
    this.#options.log.info(
      { agents: this.#agents.hostIds.length },
      "an agent was not known; asked for the present list",
    );
  }

  #token(proxy: string, instance: string): string {
    const { sessionId, cluster, routeKey } = this.#session;
    const counter = this.#options.routes.next(sessionId, proxy);
    return encodeRouteToken({ sessionId, instance, counter }, cluster, routeKey);
  }
}

/** Of two failures the one that tells less: a proxy that answered knows more than one that is not there. */
function worse(a: unknown, b: unknown): unknown {
  return b instanceof ProxyUnreachableError ? b : a;
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
