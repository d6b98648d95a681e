import { AccessDeniedError, type AuditEvent, BadInputError } from "../api/mod.ts";
import type { Notary } from "../audit/mod.ts";
import type { HostIdentity } from "../pki/mod.ts";
import type { CallContext, ResponseOf } from "../rpc/mod.ts";
import type { Core } from "./core.ts";
import { demand } from "./grants.ts";

/** What an agent may report. Everything else happens in Auth, which writes it itself. */
const AGENT_EVENTS: readonly AuditEvent["event"][] = [
  "app.session.start",
  "app.session.end",
  "client.disconnect",
  "session.rejected",
  "audit.dropped",
];

/** Events from an agent's spool. Resolved means durable: the agent forgets them then. */
export async function emitEvents(core: Core, events: readonly AuditEvent[], context: CallContext): Promise<void> {
  const { caller } = context;
  if (caller.kind !== "host" || !caller.roles.includes("App")) {
    throw new AccessDeniedError("only an App Service reports audit events");
  }
  for (const event of events) checkEvent(core, caller, event);
  await Promise.all(events.map((event) => core.audit.append(event)));
}

function checkEvent(core: Core, host: HostIdentity, event: AuditEvent): void {
  const { cluster } = core.authorities;
  if (!AGENT_EVENTS.includes(event.event)) throw new BadInputError(`an agent does not report ${event.event}`);
  if (event.server_id !== host.hostId)
    throw new BadInputError("an agent reports only what happened on itself (server_id)");
  if (event.cluster_name !== cluster) throw new BadInputError(`cluster_name must be ${JSON.stringify(cluster)}`);
}

export async function searchEvents(
  core: Core,
  o: {
    from?: string | undefined;
    to?: string | undefined;
    types?: string[] | undefined;
    user?: string | undefined;
    limit?: number | undefined;
  },
  context: CallContext,
): Promise<AuditEvent[]> {
  await demand(core, context, ["list", "read"], "event");
  return core.audit.search({
    ...(o.from !== undefined && { fromMs: Date.parse(o.from) }),
    ...(o.to !== undefined && { toMs: Date.parse(o.to) }),
    ...(o.types && { types: o.types }),
    ...(o.user !== undefined && { user: o.user }),
    ...(o.limit !== undefined && { limit: o.limit }),
  });
}

export async function verifyAudit(
  core: Core,
  notary: Notary,
  context: CallContext,
): Promise<ResponseOf<"audit.verify">> {
  await demand(core, context, ["list", "read"], "event");
  const { head, problems, ...counts } = await core.audit.verify(notary);
  return { ...counts, last_record: head.seq, problems: [...problems] };
}
