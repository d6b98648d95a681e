import { parseHostPort } from "../../api/mod.ts";
import { messageOf, sleep } from "../../base/mod.ts";
import { type ClientIdentity, type ResponseOf, RpcClient, tcpDial } from "../../rpc/mod.ts";
import type { Core } from "../core.ts";
import { TRUST_RENEW_MS, TRUST_RETRY_MS } from "../limits.ts";
import { certsOf } from "./authorities.ts";
import { SessionMirror } from "./mirror.ts";

export type RootFacts = ResponseOf<"trust.renew">;

export interface RootFollowerOptions {
  readonly root: string;
  /** `host:port` of the root's proxy. */
  readonly proxyAddress: string;
  readonly hostCas: readonly string[];
  readonly identity: ClientIdentity;
  /** At each exchange: what the root said, or why it said nothing. */
  learnt(facts: RootFacts | Error): Promise<void>;
}

/** A leaf's connection to one root: the exchange of authorities, and the root's sessions for apps here. */
export class RootFollower {
  readonly #core: Core;
  readonly #options: RootFollowerOptions;
  readonly #client: RpcClient;
  readonly #mirror: SessionMirror;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(core: Core, options: RootFollowerOptions) {
    const { root, proxyAddress, hostCas, identity } = options;
    this.#core = core;
    this.#options = options;
    this.#client = new RpcClient({
      dial: tcpDial(proxyAddress),
      trust: { cluster: root, hostCas },
      identity,
      servername: parseHostPort(proxyAddress)?.host,
      log: core.log,
    });
    this.#mirror = new SessionMirror(core, root, this.#client);
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error("the trust is followed no more"));
    await this.#mirror.close();
    await this.#client.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const facts = await this.#exchange().catch((error: unknown) => asError(error));
      if (signal.aborted) return;
      await this.#options.learnt(facts).catch((error: unknown) => {
        this.#core.log.error({ root: this.#options.root, error: messageOf(error) }, "what the root said was not kept");
      });
      await sleep(facts instanceof Error ? TRUST_RETRY_MS : TRUST_RENEW_MS, signal).catch(() => {});
    }
  }

  async #exchange(): Promise<RootFacts> {
    const own = await this.#core.store.get("cert_authority", `host/${this.#core.authorities.cluster}`);
    return this.#client.call("trust.renew", { host_cas: certsOf(own) }, { signal: this.#stop.signal });
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(messageOf(error));
}
