import { z } from "zod";
import { VERSION } from "../base/mod.ts";
import { auditEventSchema } from "./audit-event.ts";
import type { JsonSchema } from "./json-schema.ts";
import { KIND_DESCRIPTIONS, KINDS, RESOURCE_SCHEMAS } from "./resource.ts";
import { errorEnvelopeSchema, RPC, type RpcContract, type RpcMethod } from "./rpc.ts";

/** The schemas of all kinds in one JSON Schema document, for editors and validators of YAML files. */
export function resourcesJsonSchema(): object {
  const schemas = namedSchemas((id) => `#/$defs/${id}`);
  const kinds = KINDS.map((kind) => [kind, { description: KIND_DESCRIPTIONS[kind], ...schemas[kind] }] as const);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Resources of the cluster",
    oneOf: KINDS.map((kind) => ({ $ref: `#/$defs/${kind}` })),
    $defs: Object.fromEntries(kinds),
  };
}

/** The API as OpenAPI 3.1 describes it: one path for each method of the contract. */
export function openApi(): object {
  const schemas = namedSchemas((id) => `#/components/schemas/${id}`);
  return {
    openapi: "3.1.0",
    info: {
      title: "The Auth Service's API",
      version: VERSION,
      description:
        "POST of JSON over HTTP/2 and mutual TLS (ALPN tp-auth/1). The caller is whom the client certificate names: " +
        "none (no certificate), user, admin (on the Auth host), host. A watch answers with JSON lines.",
    },
    paths: Object.fromEntries(Object.keys(RPC).map((method) => [`/v1/${method}`, { post: operation(method) }])),
    components: { schemas },
  };
}

function operation(method: string): object {
  const contract: RpcContract = RPC[method as RpcMethod];
  const ref = (id: string) => ({ schema: { $ref: `#/components/schemas/${id}` } });
  const answer = contract.stream === true ? "application/x-ndjson" : "application/json";
  return {
    operationId: method,
    summary: `For: ${contract.callers.join(", ")}.`,
    requestBody: { required: true, content: { "application/json": ref(requestId(method)) } },
    responses: {
      200: { description: "Done.", content: { [answer]: ref(responseId(method)) } },
      default: { description: "Refused or failed.", content: { "application/json": ref("error") } },
    },
  };
}

/** Requests as they are sent and answers as they come, each kind once. */
function namedSchemas(uri: (id: string) => string): Record<string, JsonSchema> {
  const registry = z.registry<{ id: string }>();
  for (const kind of KINDS) registry.add(RESOURCE_SCHEMAS[kind], { id: kind });
  registry.add(auditEventSchema, { id: "audit_event" });
  registry.add(errorEnvelopeSchema, { id: "error" });
  for (const [method, { request, response }] of Object.entries(RPC)) {
    registry.add(request.clone(), { id: requestId(method) });
    registry.add(response.clone(), { id: responseId(method) });
  }
  const { schemas } = z.toJSONSchema(registry, { uri, io: "input", unrepresentable: "any" });
  const plain = Object.entries(schemas).map(([id, { $schema: _, $id: __, ...schema }]) => [id, schema] as const);
  return Object.fromEntries(plain) as Record<string, JsonSchema>;
}

function requestId(method: string): string {
  return `${method}.request`;
}

function responseId(method: string): string {
  return `${method}.response`;
}
