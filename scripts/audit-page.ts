/** `docs/audit-events.md`: every event that the audit log can hold, from its schema. */
import {
  AUDIT_CODES,
  type AuditEventType,
  auditEventSchema,
  EVENT_DESCRIPTIONS,
  type JsonSchema,
  jsonSchemaOf,
  NOT_CAUSED,
} from "../src/api/mod.ts";

export async function auditPage(): Promise<string> {
  const fields = fieldsByEvent();
  const all = Object.values(fields);
  const [first = []] = all;
  const common = first.filter((field) => all.every((each) => each.includes(field)));
  const rows = (Object.keys(AUDIT_CODES) as AuditEventType[]).sort().map((event) => {
    const codes: { ok: string; failed?: string } = AUDIT_CODES[event];
    const own = (fields[event] ?? []).filter((field) => !common.includes(field)).map((field) => `\`${field}\``);
    const code = [codes.ok, codes.failed].filter((each) => each !== undefined).join(", ");
    return `| \`${event}\` | ${code} | ${EVENT_DESCRIPTIONS[event]} | ${own.join(", ")} |\n`;
  });
  const absent = NOT_CAUSED.map(([event, code, why]) => `| ${event} | ${code} | ${why} |\n`);
  return `# Audit events

Written by \`npm run docs\` from the schemas. One JSON object a line, in Teleport's field names; the codes are Teleport's,
and the second one is that of a failure. \`tctl audit search --type=…\` finds them; [security.md](security.md) says what
protects the log.

Every event may have these fields: ${common.map((field) => `\`${field}\``).join(", ")}.

| event | code | when | fields besides |
|---|---|---|---|
${rows.join("")}
A write to a resource that its rules refuse is recorded too, with \`success: false\` and the \`error\`; one that the
caller may not make at all is not, as in Teleport.

## Events of Teleport's that nothing here causes

| event | code | why |
|---|---|---|
${absent.join("")}`;
}

function fieldsByEvent(): Record<string, string[]> {
  const { oneOf = [], anyOf = oneOf } = jsonSchemaOf(auditEventSchema, "output") as JsonSchema;
  return Object.fromEntries(
    anyOf.map(({ properties = {} }) => [String(properties.event?.const), Object.keys(properties)]),
  );
}
