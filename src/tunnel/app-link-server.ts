import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { assert, isMalformed, type Malformed, malformed, messageOf, sleep } from "../base/mod.ts";
import {
  type CloseCode,
  type Link,
  LinkAcceptor,
  LinkBudget,
  linkLimits,
  type OpenRequest,
  refuseLink,
} from "../link/mod.ts";
import { type AppIdentity, verifyChain } from "../pki/mod.ts";
import { CarrierTrust } from "./carrier-trust.ts";
import type { Route } from "./data-wire.ts";
import { DetachedBound } from "./detached-bound.ts";
import { FAREWELL_TIMEOUT_MS, LINK_HANDSHAKE_TIMEOUT_MS, MAX_HANDSHAKES } from "./limits.ts";
import { LINK_ALPN, linkSessionOf } from "./route-token.ts";
import { tlsCarrier } from "./tls-carrier.ts";
import { serveTls } from "./tls-ends.ts";
import type { HostCredentials, Tools } from "./types.ts";

/** Why a client gets no link; the text is shown to the user. */
export interface LinkRefusal {
  readonly code: Extract<CloseCode, "access-denied" | "session-ended" | "shutdown" | "internal">;
  readonly message: string;
}

export interface LinkContext {
  readonly identity: AppIdentity;
  readonly route: Route;
}

export interface AppLinkServerOptions extends Tools {
  credentials(): HostCredentials;
  /** The user authorities of the app's own cluster. */
  userCas(): readonly string[];
  instance: Uint8Array;
  /** The agent is the authority: route served, session alive, not locked, RBAC. `undefined` lets the client in. */
  authorize(context: LinkContext): Promise<LinkRefusal | undefined> | LinkRefusal | undefined;
  onOpen(request: OpenRequest, context: LinkContext): void;
  /** A link begins, or goes on over another connection: the context is then that one's. */
  onLink?(link: Link, context: LinkContext, how: "begins" | "goes-on"): void;
  /** How long a link may be without a connection, and over how many it may run: said when it begins. */
  linkSettings?(): LinkSettings;
}

export interface LinkSettings {
  readonly resumeMs: number;
  readonly transports: number;
}

const DEFAULT_SETTINGS: LinkSettings = { resumeMs: linkLimits.RESUME_MS, transports: 1 };

/** The agent's end of links: TLS on relayed sockets, and who the client is. */
export class AppLinkServer {
  readonly #options: AppLinkServerOptions;
  readonly #acceptor = new LinkAcceptor();
  readonly #links = new Map<Link, LinkContext>();
  readonly #budget = new LinkBudget();
  readonly #detached: DetachedBound;
  readonly #trust: CarrierTrust;
  readonly #handshakes = new Set<Socket>();
  /** When each relayed connection is gone, its last octets with it. */
  readonly #gone = new Set<Promise<void>>();
  #draining = false;
  #closing = false;

  constructor(options: AppLinkServerOptions) {
    this.#options = options;
    this.#trust = new CarrierTrust(options);
    this.#detached = new DetachedBound(options.clock, () =>
      [...this.#links].map(([link, { identity }]) => ({ link, user: `${identity.user} ${identity.cluster}` })),
    );
  }

  get links(): number {
    return this.#links.size;
  }

  /** `socket` is paused; the client's ClientHello is what comes next. */
  accept(socket: Socket, route: Route): void {
    if (this.#closing || this.#handshakes.size >= MAX_HANDSHAKES) {
      this.#options.counters.count("link.no-room");
      socket.destroy();
      return;
    }
    this.#handshakes.add(socket);
    this.#watch(socket);
    void this.#serve(socket, route)
      .catch((error: unknown) => {
        this.#options.counters.count("link.handshake");
        this.#options.log.warn({ client: route.clientAddress, error: messageOf(error) }, "a client was refused");
        socket.destroy();
      })
      .finally(() => this.#handshakes.delete(socket));
  }

  /** Ends the links of a session, their streams with "session-ended". */
  endSession(sessionId: string, message: string): void {
    for (const [link, { identity }] of this.#links) {
      if (identity.route.sessionId === sessionId) link.close("session-ended", message);
    }
  }

  /** New streams are refused, open ones go on. */
  drain(): void {
    this.#draining = true;
    for (const link of this.#links.keys()) link.drain();
  }

  /** Resolves when all links have ended; after `graceMs` they are cut. */
  async close(graceMs = 0): Promise<void> {
    this.drain();
    const ended = Promise.all([...this.#links.keys()].map((link) => link.closed));
    if (graceMs > 0) await within(ended, graceMs);
    this.#closing = true;
    this.#trust.close();
    for (const socket of this.#handshakes) socket.destroy();
    for (const link of this.#links.keys()) link.close("shutdown", "the agent is shutting down");
    await ended;
    // What links said last is on its way: a proxy cuts it off once the control connection ends.
    await within(Promise.all(this.#gone), FAREWELL_TIMEOUT_MS);
  }

  #watch(socket: Socket): void {
    const gone = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    this.#gone.add(gone);
    void gone.then(() => this.#gone.delete(gone));
  }

  async #serve(socket: Socket, route: Route): Promise<void> {
    const { certPem, keyPem, cluster } = this.#options.credentials();
    const offered: { sessionId?: string } = {};
    const secure = await serveTls(socket, {
      certPem,
      keyPem,
      clientCas: this.#options.userCas(),
      timeoutMs: LINK_HANDSHAKE_TIMEOUT_MS,
      chooseAlpn(protocols) {
        const sessionId = linkSessionOf(protocols);
        if (typeof sessionId !== "string") return undefined;
        offered.sessionId = sessionId;
        return LINK_ALPN;
      },
    });
    const identity = this.#identityOf(secure);
    if (isMalformed(identity)) throw new Error(identity.malformed);
    const { sessionId } = identity.route;
    if (identity.route.cluster !== cluster) throw new Error("the certificate is for another cluster");
    if (offered.sessionId !== sessionId || route.sessionId !== sessionId) {
      throw new Error("the certificate's session is not the one that was routed");
    }
    await this.#admit(secure, { identity, route });
  }

  #identityOf(secure: TLSSocket): AppIdentity | Malformed {
    const raw = secure.getPeerX509Certificate()?.raw;
    if (!raw) return malformed("link.no-certificate");
    const identity = verifyChain(raw, this.#options.userCas(), this.#options.clock.wallMs());
    if (isMalformed(identity)) return identity;
    if (identity.kind !== "app") return malformed("link.not-an-app-certificate");
    this.#trust.watch(secure, raw, identity);
    return identity;
  }

  async #admit(secure: TLSSocket, context: LinkContext): Promise<void> {
    const { clock, log } = this.#options;
    const carrier = tlsCarrier(secure);
    const refusal = await this.#options.authorize(context);
    const { sessionId } = context.identity.route;
    if (refusal || this.#closing) {
      const { code, message } = refusal ?? SHUTTING_DOWN;
      log.info({ sessionId, user: context.identity.user, code, message }, "a client was refused");
      refuseLink(carrier, clock, code, message);
      return;
    }
    const { onOpen, onLink, counters, instance } = this.#options;
    let served: Link | undefined;
    this.#acceptor.accept({
      carrier,
      owner: ownerOf(secure, sessionId),
      refusal: () => (this.#draining ? SHUTTING_DOWN : this.#budget.full ? NO_ROOM : undefined),
      options: {
        ...{ clock, log, counters, instance, budget: this.#budget },
        ...(this.#options.linkSettings?.() ?? DEFAULT_SETTINGS),
        // Of the link's latest carrier: a renewed certificate may carry other roles.
        onOpen: (request) => onOpen(request, (served && this.#links.get(served)) ?? context),
      },
      onLink: (link) => {
        served = link;
        this.#links.set(link, context);
        link.onCarriers({ detached: () => this.#detached.watch() });
        void link.closed.then(() => this.#links.delete(link));
        onLink?.(link, context, "begins");
      },
      onAttached: (link) => {
        counters.count("link.attached");
        this.#links.set(link, context);
        onLink?.(link, context, "goes-on");
      },
    });
  }
}

const SHUTTING_DOWN = { code: "shutdown", message: "the agent is shutting down" } as const;
const NO_ROOM = { code: "shutdown", message: "the agent has as many links as it may and takes no more" } as const;

/** Only the same session with the same key comes back to a link. */
function ownerOf(secure: TLSSocket, sessionId: string): string {
  const key = secure.getPeerX509Certificate()?.publicKey.export({ type: "spki", format: "der" });
  assert(key, "a verified client has a certificate");
  return `${sessionId} ${createHash("sha256").update(key).digest("hex")}`;
}

/** Waits for `work`, at most `boundMs`; its timer does not outlive it, and so the process does not either. */
async function within(work: Promise<unknown>, boundMs: number): Promise<void> {
  const over = new AbortController();
  await Promise.race([work, sleep(boundMs, over.signal).catch(() => {})]);
  over.abort();
}
