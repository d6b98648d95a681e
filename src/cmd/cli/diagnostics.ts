import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { type Counters, messageOf, OperationError, VERSION } from "../../base/mod.ts";
import { DIAG_TIMEOUT_MS, MAX_DIAG_CONNECTIONS } from "./limits.ts";

/** The diagnostic port cannot be opened. */
export class DiagListenError extends OperationError {
  readonly code = "cmd.diag-listen";
}

interface Component {
  ready: boolean;
  /** Why it does not work now, though it did. */
  problem(): string | undefined;
}

/**
 * What a process tells those who watch over it, as in Teleport: `/healthz` (it
 * runs), `/readyz` (all its components work), `/metrics` (Prometheus text).
 * Says no secrets and no names of users or apps; still, it belongs on loopback.
 */
export class Diagnostics {
  readonly #registry = new Registry();
  readonly #components = new Map<string, Component>();
  readonly #counters = new Map<string, Counters>();

  constructor(program: string) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    new Gauge({
      name: "teleport_build_info",
      help: "The program and its version; always 1.",
      labelNames: ["program", "version", "node"],
      registers,
    }).set({ program, version: VERSION, node: process.version }, 1);
    const counters = this.#counters;
    new Counter({
      name: "teleport_events_total",
      help: "What components counted since their start, by name.",
      labelNames: ["component", "event"],
      registers,
      collect() {
        this.reset();
        for (const [component, each] of counters) {
          for (const [event, count] of Object.entries(each.snapshot())) this.inc({ component, event }, count);
        }
      },
    });
    const components = this.#components;
    new Gauge({
      name: "teleport_component_ready",
      help: "1 while the component works.",
      labelNames: ["component"],
      registers,
      collect() {
        for (const [component, each] of components) this.set({ component }, isWorking(each) ? 1 : 0);
      },
    });
  }

  /** A part of the process, ready once `ready` resolves and for as long as it has no `problem`. */
  component(
    name: string,
    o: { ready?: Promise<unknown>; problem?: () => string | undefined; counters?: Counters } = {},
  ): void {
    const component: Component = { ready: o.ready === undefined, problem: o.problem ?? (() => undefined) };
    this.#components.set(name, component);
    if (o.counters !== undefined) this.#counters.set(name, o.counters);
    o.ready?.then(
      () => {
        component.ready = true;
      },
      () => {}, // It stays not ready; its owner says why.
    );
  }

  /** A number that is looked up when it is asked for. `name` as Prometheus has them: `teleport_connected_agents`. */
  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** The same for a number that only grows: `teleport_vnet_octets_total`. */
  counter(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  /** Serves until disposed of. `address`: `host:port`, port 0 for any. Throws `DiagListenError`. */
  async listen(address: string): Promise<AsyncDisposable & { readonly address: string }> {
    const server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => send(response, 500, "text/plain", messageOf(error)));
    });
    server.maxConnections = MAX_DIAG_CONNECTIONS;
    server.headersTimeout = server.requestTimeout = server.keepAliveTimeout = DIAG_TIMEOUT_MS;
    const bound = await listen(server, address);
    return {
      address: bound,
      async [Symbol.asyncDispose]() {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return send(response.setHeader("allow", "GET, HEAD"), 405, "text/plain", "only GET\n");
    }
    switch (request.url?.split("?", 1)[0]) {
      case "/healthz":
        return sendStatus(response, 200, "ok");
      case "/readyz": {
        const waiting = this.#waiting();
        return sendStatus(response, waiting === "" ? 200 : 503, waiting === "" ? "ok" : waiting);
      }
      case "/metrics":
        return send(response, 200, this.#registry.contentType, await this.#registry.metrics());
      default:
        return send(response, 404, "text/plain", "there are /healthz, /readyz and /metrics\n");
    }
  }

  /** `auth is starting; app: the proxy is away`; empty where all is well. */
  #waiting(): string {
    const all = [...this.#components].filter(([, each]) => !isWorking(each));
    return all.map(([name, each]) => (each.ready ? `${name}: ${each.problem()}` : `${name} is starting`)).join("; ");
  }
}

function isWorking(component: Component): boolean {
  return component.ready && component.problem() === undefined;
}

function sendStatus(response: ServerResponse, code: number, status: string): void {
  send(response, code, "application/json", `${JSON.stringify({ status })}\n`);
}

function send(response: ServerResponse, code: number, type: string, body: string): void {
  response.writeHead(code, { "content-type": type, "cache-control": "no-store" }).end(body);
}

async function listen(server: Server, address: string): Promise<string> {
  const [, host = "", port = ""] = /^\[?([^\]]*)\]?:(\d{1,5})$/.exec(address) ?? [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ host, port: Number(port) }, resolve);
  try {
    await promise;
  } catch (cause) {
    throw new DiagListenError(`cannot listen on ${address} (${messageOf(cause)}): choose another --diag-addr`, {
      cause,
    });
  }
  const bound = server.address() as AddressInfo;
  return bound.family === "IPv6" ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}
