import { randomUUID } from "node:crypto";
import { type App, type AuditEvent, tcpTarget } from "../api/mod.ts";
import { type AuditFields, auditEvent } from "../audit/mod.ts";
import { type Clock, type Counters, type Logger, type SpliceTotals, splice, VERSION } from "../base/mod.ts";
import type { OpenRequest } from "../link/mod.ts";
import { type LinkContext, socketStream } from "../tunnel/mod.ts";
import { dialApp } from "./dial.ts";
import { DIAL_TIMEOUT_MS, MAX_APP_CONNECTIONS } from "./limits.ts";

export interface ConnectionsOptions {
  readonly hostId: string;
  readonly hostname: string;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly log: Logger;
  /** Must not block and not throw. */
  audit(event: AuditEvent): void;
  readonly dialTimeoutMs?: number;
}

/** The connections that this agent has to apps. */
export class Connections {
  readonly #options: ConnectionsOptions;
  #open = 0;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Dials included. */
  get open(): number {
    return this.#open;
  }

  /** Serves one OPEN of a client that may reach `app`: dial first, then accept. */
  async serve(request: OpenRequest, context: LinkContext, app: App): Promise<void> {
    const target = tcpTarget(app.spec, request.port);
    if (target === undefined) {
      this.#options.counters.count("app.port-refused");
      request.refuse("port", `${app.metadata.name} does not serve port ${request.port}`);
      return;
    }
    if (this.#open >= MAX_APP_CONNECTIONS) {
      this.#options.counters.count("app.too-many");
      request.refuse("limit", `this agent has ${MAX_APP_CONNECTIONS} connections open`);
      return;
    }
    this.#open++;
    try {
      await this.#connect(request, target, new StreamRecord(this.#options, context, app, target.port));
    } finally {
      this.#open--;
    }
  }

  /** Resolves when the connection has ended. */
  async #connect(request: OpenRequest, target: { host: string; port: number }, record: StreamRecord): Promise<void> {
    const { clock, counters, log, audit, dialTimeoutMs } = this.#options;
    const dialled = await dialApp(target, {
      signal: request.aborted,
      timeoutMs: dialTimeoutMs ?? DIAL_TIMEOUT_MS,
      clock,
    });
    if ("refusal" in dialled) {
      counters.count("app.dial-failed");
      log.info({ app: record.app, user: record.user, error: dialled.message }, "an app did not accept a connection");
      audit(record.failed(dialled.message));
      request.refuse(dialled.refusal, dialled.message);
      return;
    }
    counters.count("app.connections");
    audit(record.started());
    const { promise, resolve } = Promise.withResolvers<SpliceTotals>();
    splice(request.accept(), socketStream(dialled), resolve);
    audit(record.ended(await promise));
  }
}

/** The audit events of one stream. Field names are Teleport's. */
class StreamRecord {
  readonly app: string;
  readonly user: string;
  readonly #clock: Clock;
  readonly #common: AuditFields<"app.session.start">;
  #startMs = 0;

  constructor(host: ConnectionsOptions, { identity, route }: LinkContext, app: App, targetPort: number) {
    this.app = app.metadata.name;
    this.user = identity.user;
    this.#clock = host.clock;
    this.#common = {
      cluster_name: identity.cluster,
      user: identity.user,
      user_roles: [...identity.roles],
      user_kind: "human",
      "addr.remote": route.clientAddress,
      proto: "tcp",
      server_id: host.hostId,
      server_hostname: host.hostname,
      server_version: VERSION,
      sid: identity.route.sessionId,
      stream_id: randomUUID(),
      app_name: app.metadata.name,
      app_uri: app.spec.uri,
      app_target_port: targetPort,
      ...(app.spec.public_addr && { app_public_addr: app.spec.public_addr }),
      ...(app.metadata.labels && { app_labels: app.metadata.labels }),
    };
  }

  started(): AuditEvent {
    this.#startMs = this.#clock.wallMs();
    return auditEvent("app.session.start", { ...this.#common, success: true }, this.#clock);
  }

  failed(error: string): AuditEvent {
    return auditEvent("app.session.start", { ...this.#common, success: false, error }, this.#clock);
  }

  ended(totals: SpliceTotals): AuditEvent {
    const fields: AuditFields<"app.session.end"> = {
      ...this.#common,
      bytes_in: totals.aToB,
      bytes_out: totals.bToA,
      session_start: new Date(this.#startMs).toISOString(),
      session_stop: new Date(this.#clock.wallMs()).toISOString(),
      ...(totals.reset && { reason: endReason(totals.reset) }),
    };
    return auditEvent("app.session.end", fields, this.#clock);
  }
}

function endReason(reset: NonNullable<SpliceTotals["reset"]>): string {
  if (reset.reason !== "peer") return reset.reason;
  return reset.from === "a" ? "reset by the client" : "reset by the app";
}
