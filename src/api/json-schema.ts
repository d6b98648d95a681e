import { z } from "zod";
import { type Kind, RESOURCE_SCHEMAS } from "./resource.ts";

/** The parts of JSON Schema (draft 2020-12) that our schemas turn into. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
}

/**
 * A schema as the world can use it. What JSON Schema cannot say (that a text is
 * a CIDR range, that two fields exclude each other) is left to the description
 * and to the API itself.
 */
export function jsonSchemaOf(schema: z.ZodType, io: "input" | "output" = "input"): JsonSchema {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return json as JsonSchema;
}

export function resourceJsonSchema(kind: Kind): JsonSchema {
  return jsonSchemaOf(RESOURCE_SCHEMAS[kind]);
}
