import { randomUUID } from "node:crypto";
import type { App, AuditEvent } from "../api/mod.ts";
import { type AuditFields, auditEvent } from "../audit/mod.ts";
import { type Clock, type SpliceTotals, VERSION } from "../base/mod.ts";
import type { LinkContext } from "../tunnel/mod.ts";
import type { Client } from "./authorize.ts";

/** The agent as its audit events name it. */
export interface RecordingHost {
  readonly hostId: string;
  readonly hostname: string;
  readonly clock: Clock;
}

/** Whose stream it is, and to what. */
export interface Recorded {
  readonly context: LinkContext;
  readonly client: Client;
  readonly app: App;
}

/** The audit events of one stream. Field names are Teleport's. */
export class StreamRecord {
  readonly #host: RecordingHost;
  readonly #recorded: Recorded;
  readonly #targetPort: number;
  readonly #streamId = randomUUID();
  #startMs = 0;

  constructor(host: RecordingHost, recorded: Recorded, targetPort: number) {
    this.#host = host;
    this.#recorded = recorded;
    this.#targetPort = targetPort;
  }

  get app(): string {
    return this.#recorded.app.metadata.name;
  }

  get user(): string {
    return this.#recorded.client.user;
  }

  get #clock(): Clock {
    return this.#host.clock;
  }

  get #common(): AuditFields<"app.session.start"> {
    const { hostId, hostname } = this.#host;
    const { context, client, app } = this.#recorded;
    const { identity, route } = context;
    return {
      cluster_name: identity.route.cluster,
      user: client.user,
      user_roles: [...client.roles],
      user_kind: "human",
      "addr.remote": route.clientAddress,
      proto: "tcp",
      server_id: hostId,
      server_hostname: hostname,
      server_version: VERSION,
      sid: identity.route.sessionId,
      stream_id: this.#streamId,
      app_name: app.metadata.name,
      app_uri: app.spec.uri,
      app_target_port: this.#targetPort,
      ...(identity.mfaDevice !== undefined && { with_mfa: identity.mfaDevice }),
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

  /** The user has `maximum` connections already. */
  rejected(reason: string, maximum: number): AuditEvent {
    return auditEvent("session.rejected", { ...this.#common, success: false, reason, maximum }, this.#clock);
  }

  /** The agent itself ends the stream; `ended` follows. */
  disconnected(reason: string): AuditEvent {
    return auditEvent("client.disconnect", { ...this.#common, reason }, this.#clock);
  }

  /** `cutReason`: what `disconnected` said. */
  ended(totals: SpliceTotals, cutReason?: string): AuditEvent {
    const reason = cutReason ?? (totals.reset && endReason(totals.reset));
    const fields: AuditFields<"app.session.end"> = {
      ...this.#common,
      bytes_in: totals.aToB,
      bytes_out: totals.bToA,
      session_start: new Date(this.#startMs).toISOString(),
      session_stop: new Date(this.#clock.wallMs()).toISOString(),
      ...(reason !== undefined && { reason }),
    };
    return auditEvent("app.session.end", fields, this.#clock);
  }
}

function endReason(reset: NonNullable<SpliceTotals["reset"]>): string {
  if (reset.reason !== "peer") return reset.reason;
  return reset.from === "a" ? "reset by the client" : "reset by the app";
}
