import type { Socket } from "node:net";
import { isMalformed, messageOf } from "../base/mod.ts";
import { type HostIdentity, verifyChain } from "../pki/mod.ts";
import { AgentControl } from "./agent-control.ts";
import { CONTROL_ALPN } from "./control-wire.ts";
import { DATA_ALPN, decodeGreeting, GREETING_LEN } from "./data-wire.ts";
import { peekSocket } from "./first-octets.ts";
import { CONTROL_HELLO_TIMEOUT_MS, HELLO_TIMEOUT_MS, MAX_CONTROLS } from "./limits.ts";
import { serveTls } from "./tls-ends.ts";
import type { HostCredentials, Tools } from "./types.ts";

export interface AgentControlsOptions extends Tools {
  credentials(): HostCredentials;
  /** The host authorities of leaf clusters: their proxies connect here as agents do. */
  leafCas?(): readonly string[];
}

/**
 * Who is connected to a proxy: the agents of its own cluster, and the proxies of
 * its leaves. The two are kept apart by the cluster whose authority vouched for
 * them, so that a leaf is never offered what is not its own.
 */
export class AgentControls {
  readonly #options: AgentControlsOptions;
  readonly #gone: (control: AgentControl) => void;
  /** By control id. */
  readonly #controls = new Map<string, AgentControl>();
  readonly #listeners = new Set<() => void>();
  #closed = false;

  /** `gone` is called once for each that has ended. */
  constructor(options: AgentControlsOptions, gone: (control: AgentControl) => void) {
    this.#options = options;
    this.#gone = gone;
  }

  /** Of this cluster, in the order of their coming. */
  agents(): AgentControl[] {
    return this.of(this.#options.credentials().cluster);
  }

  /** Of one cluster, in the order of their coming. */
  of(cluster: string): AgentControl[] {
    return [...this.#ready()].filter((control) => control.cluster === cluster);
  }

  /** Of this cluster the one process, also while it takes no new clients; the latest connection first. */
  process(instance: string): AgentControl[] {
    const { cluster } = this.#options.credentials();
    const all = [...this.#controls.values()];
    return all.filter((control) => control.cluster === cluster && control.instance === instance).reverse();
  }

  /** Clusters that are connected, besides this one. */
  leaves(): string[] {
    const own = this.#options.credentials().cluster;
    const clusters = new Set(this.#ready().map(({ cluster }) => cluster));
    clusters.delete(own);
    return [...clusters].sort();
  }

  has(control: AgentControl): boolean {
    return this.#controls.has(control.controlId);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A connection that offered ALPN `tp-control/1`. */
  accept(socket: Socket): void {
    void this.#accept(socket).catch((error: unknown) => {
      this.#options.counters.count("control.refused");
      const from = socket.remoteAddress;
      this.#options.log.warn({ from, error: messageOf(error) }, "an agent's connection was refused");
      socket.destroy();
    });
  }

  /** A connection whose greeting is still unread. */
  async acceptData(socket: Socket): Promise<void> {
    let bytes: Uint8Array = new Uint8Array(0);
    const greeting = await peekSocket(socket, this.#options.clock, {
      timeoutMs: HELLO_TIMEOUT_MS,
      maxLen: GREETING_LEN,
      parse: (octets) => {
        bytes = octets;
        return decodeGreeting(octets);
      },
    });
    const control = isMalformed(greeting) ? undefined : this.#controls.get(greeting.controlId);
    if (isMalformed(greeting) || !control) {
      this.#options.counters.count(isMalformed(greeting) ? greeting.malformed : "data.unknown-control");
      socket.destroy();
      return;
    }
    socket.read(GREETING_LEN);
    if (control.offer(socket, greeting, bytes)) return;
    this.#options.counters.count("data.refused");
    socket.destroy();
  }

  /** A connection that offered ALPN `tp-data/1`: a data connection inside mutual TLS. */
  nestedData(socket: Socket): void {
    void this.#secured(socket, DATA_ALPN)
      .then(({ secure }) => this.acceptData(secure))
      .catch((error: unknown) => {
        this.#options.counters.count("data.nested-refused");
        this.#options.log.debug({ error: messageOf(error) }, "an agent's nested data connection was refused");
        socket.destroy();
      });
  }

  /** A host of this cluster was locked. */
  cutHost(hostId: string): void {
    const { cluster } = this.#options.credentials();
    for (const control of this.#controls.values()) {
      if (control.hostId === hostId && control.cluster === cluster) control.close("this host is locked");
    }
  }

  /**
   * Authorities have changed. Whom they no longer vouch for is cut off; one that
   * has come back with a new certificate keeps its old clients.
   */
  review(): void {
    const now = this.#options.clock.wallMs();
    const cas = this.#authorities();
    const known = [...this.#controls.values()];
    const vouched = known.filter(({ certificate }) => !isMalformed(verifyChain(certificate, cas, now)));
    for (const control of known) {
      if (vouched.includes(control)) continue;
      control.draining = true;
      const renewed = vouched.some((other) => isSameProcess(other, control));
      if (!renewed) control.close("the authority of this host's certificate is not trusted any more: join again");
    }
  }

  /** Tells all to expect no new clients from here. */
  drain(): void {
    for (const control of this.#controls.values()) control.drain();
  }

  close(): void {
    this.#closed = true;
    for (const control of this.#controls.values()) control.close("the proxy is shutting down");
  }

  #ready(): AgentControl[] {
    return [...this.#controls.values()].filter((control) => control.instance !== "" && !control.draining);
  }

  #authorities(): readonly string[] {
    return [...this.#options.credentials().hostCas, ...(this.#options.leafCas?.() ?? [])];
  }

  async #accept(socket: Socket): Promise<void> {
    if (this.#closed || this.#controls.size >= MAX_CONTROLS) throw new Error("no room for another agent");
    const { secure, identity, certificate } = await this.#secured(socket, CONTROL_ALPN);
    const control = new AgentControl(secure, { ...identity, certificate }, this.#options, {
      ready: () => this.#changed(),
      gone: (gone, reason) => this.#onGone(gone, reason),
    });
    this.#controls.set(control.controlId, control);
  }

  /** The proxy's end of TLS with an agent. */
  async #secured(socket: Socket, alpn: string) {
    const { certPem, keyPem } = this.#options.credentials();
    const clientCas = this.#authorities();
    const secure = await serveTls(socket, {
      certPem,
      keyPem,
      clientCas,
      timeoutMs: CONTROL_HELLO_TIMEOUT_MS,
      chooseAlpn: (protocols) => (protocols.includes(alpn) ? alpn : undefined),
    });
    const certificate = secure.getPeerX509Certificate()?.raw;
    const identity = certificate && verifyChain(certificate, clientCas, this.#options.clock.wallMs());
    if (!identity || isMalformed(identity)) throw new Error(identity?.malformed ?? "no certificate");
    if (identity.kind !== "host" || !this.#mayConnect(identity)) throw new Error("the certificate is not an agent's");
    return { secure, identity, certificate };
  }

  #mayConnect({ cluster, roles }: HostIdentity): boolean {
    return roles.includes(cluster === this.#options.credentials().cluster ? "App" : "Proxy");
  }

  #onGone(control: AgentControl, reason: string): void {
    const { hostId, cluster } = control;
    this.#controls.delete(control.controlId);
    this.#gone(control);
    this.#options.log.info({ host: hostId, cluster, reason }, "an agent disconnected");
    if (control.instance !== "") this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function isSameProcess(a: AgentControl, b: AgentControl): boolean {
  return a.cluster === b.cluster && a.hostId === b.hostId && a.instance === b.instance;
}
