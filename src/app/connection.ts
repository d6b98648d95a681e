import type { SessionControls } from "../access/mod.ts";
import { type App, type AppSpec, type AuditEvent, tcpTarget } from "../api/mod.ts";
import { type ByteStream, type Counters, type Logger, type SpliceTotals, splice } from "../base/mod.ts";
import type { OpenRequest } from "../link/mod.ts";
import { type LinkContext, socketStream } from "../tunnel/mod.ts";
import { dialApp } from "./dial.ts";
import { hostNames } from "./host-check.ts";
import { hostGuarded } from "./host-guard.ts";
import { DIAL_TIMEOUT_MS, MAX_APP_CONNECTIONS } from "./limits.ts";
import { type Recorded, type RecordingHost, StreamRecord } from "./stream-record.ts";

export interface ConnectionsOptions extends RecordingHost {
  readonly counters: Counters;
  readonly log: Logger;
  /** Must not block and not throw. */
  audit(event: AuditEvent): void;
  readonly dialTimeoutMs?: number;
}

type Target = NonNullable<ReturnType<typeof tcpTarget>>;

/** One client's way to one app, as it was allowed. */
interface Admission extends Recorded {
  readonly controls: SessionControls;
}

/** The connections that this agent has to apps. */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #streams = new Set<OpenStream>();
  /** By app and by the port that clients ask for: to read an app's address costs as much as all else of an OPEN. */
  readonly #targets = new WeakMap<AppSpec, Map<number, Target>>();
  /** By user, dials included. */
  readonly #ofUser = new Map<string, number>();
  #open = 0;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Dials included. */
  get open(): number {
    return this.#open;
  }

  /** Answers one OPEN of a client that may reach the app: dial first, then accept. */
  async serve(request: OpenRequest, admission: Admission): Promise<void> {
    const { app } = admission;
    const target = this.#targetOf(app.spec, request.port);
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
    const record = new StreamRecord(this.#options, admission, target.port);
    if (this.#refuseOneTooMany(request, admission, record)) return;
    this.#count(record.user, 1);
    let joined = false;
    try {
      joined = await this.#connect(request, target, record, admission);
    } finally {
      if (!joined) this.#count(record.user, -1);
    }
  }

  /** Ends every connection that `verdict` says a reason against, and those that were idle for too long. */
  enforce(verdict: (context: LinkContext) => string | undefined): void {
    const now = this.#options.clock.now();
    for (const stream of this.#streams) {
      const reason = verdict(stream.admission.context) ?? stream.idleReason(now);
      if (reason !== undefined) this.#disconnect(stream, reason);
    }
  }

  #targetOf(spec: AppSpec, port: number): Target | undefined {
    const known = this.#targets.get(spec) ?? new Map<number, Target>();
    this.#targets.set(spec, known);
    const target = known.get(port) ?? tcpTarget(spec, port);
    if (target !== undefined) known.set(port, target);
    return target;
  }

  #disconnect(stream: OpenStream, reason: string): void {
    this.#streams.delete(stream);
    this.#options.counters.count("app.disconnected");
    this.#options.log.info({ app: stream.record.app, user: stream.record.user, reason }, "a connection was ended");
    this.#options.audit(stream.record.disconnected(reason));
    stream.cut(reason);
  }

  #refuseOneTooMany(request: OpenRequest, { controls }: Admission, record: StreamRecord): boolean {
    const { maxConnections } = controls;
    if (maxConnections === undefined || (this.#ofUser.get(record.user) ?? 0) < maxConnections) return false;
    const message = `your roles allow ${maxConnections} connections at once (max_connections)`;
    this.#options.counters.count("app.too-many-of-user");
    this.#options.audit(record.rejected(message, maxConnections));
    request.refuse("limit", message);
    return true;
  }

  #count(user: string, by: 1 | -1): void {
    this.#open += by;
    const now = (this.#ofUser.get(user) ?? 0) + by;
    if (now === 0) this.#ofUser.delete(user);
    else this.#ofUser.set(user, now);
  }

  /** Whether the app has accepted; `#ended` follows then. */
  async #connect(request: OpenRequest, target: Target, record: StreamRecord, admission: Admission): Promise<boolean> {
    const { clock, counters, log, audit, dialTimeoutMs } = this.#options;
    const { app } = admission;
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
      return false;
    }
    counters.count("app.connections");
    audit(record.started());
    const client = this.#guarded(request.accept(), record, app);
    this.#streams.add(
      new OpenStream(client, socketStream(dialled), { record, admission, now: clock.now() }, this.#ended),
    );
    return true;
  }

  readonly #ended = (stream: OpenStream, totals: SpliceTotals, cutReason?: string): void => {
    this.#streams.delete(stream);
    this.#count(stream.record.user, -1);
    this.#options.audit(stream.record.ended(totals, cutReason));
  };

  /** Plain HTTP that asks for another name is answered here, and not by the app (PROTOCOL section 6). */
  #guarded(client: ByteStream, record: StreamRecord, app: App): ByteStream {
    const allowed = hostNames(app.spec);
    if (allowed === undefined) return client;
    const { clock, counters, log, audit } = this.#options;
    const refused = (detail: string) => {
      counters.count("app.host-refused");
      log.warn({ app: record.app, user: record.user, detail }, "a request with a foreign Host was refused");
      audit(record.disconnected(`http_host_check: ${detail}`));
    };
    return hostGuarded(client, { allowed, clock, refused });
  }
}

/** Once; `cutReason` where the agent ended the stream. */
type StreamEnd = (stream: OpenStream, totals: SpliceTotals, cutReason?: string) => void;

/** A connection that is joined with the app's. */
class OpenStream {
  readonly record: StreamRecord;
  readonly admission: Admission;
  readonly #ends: readonly [ByteStream, ByteStream];
  readonly #totals: SpliceTotals;
  readonly #ended: StreamEnd;
  /** Octets at the last look, and when they last changed (monotonic). */
  #seen = 0;
  #activeAt: number;

  constructor(
    client: ByteStream,
    app: ByteStream,
    o: { record: StreamRecord; admission: Admission; now: number },
    ended: StreamEnd,
  ) {
    this.record = o.record;
    this.admission = o.admission;
    this.#ends = [client, app];
    this.#ended = ended;
    this.#activeAt = o.now;
    this.#totals = splice(client, app, (totals) => ended(this, totals));
  }

  /** Looks at the counters only: what flows pays nothing for this. Exact to the interval of the looks. */
  idleReason(now: number): string | undefined {
    const octets = this.#totals.aToB + this.#totals.bToA;
    if (octets !== this.#seen) this.#activeAt = now;
    this.#seen = octets;
    const { idleTimeoutMs } = this.admission.controls;
    if (idleTimeoutMs === undefined || now - this.#activeAt < idleTimeoutMs) return undefined;
    return `idle for longer than ${idleTimeoutMs / 1000} s (client_idle_timeout)`;
  }

  cut(cutReason: string): void {
    for (const end of this.#ends) end.reset("session-ended");
    this.#ended(this, this.#totals, cutReason);
  }
}
