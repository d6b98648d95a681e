import { z } from "zod";
import { type Malformed, malformed } from "../base/mod.ts";
import { unknownWord } from "./nearest.ts";
import type { FieldType } from "./predicate/mod.ts";

/**
 * What an expression finds at `resource.metadata.name` and the like in documents
 * of these schemas: a text (numbers and truths are read as text), a list of
 * texts, or `any` where they differ or nothing is known. A path that none of
 * them has, or that leads to no value, is `Malformed`.
 */
export function fieldType(schemas: readonly z.ZodType[], path: readonly string[]): FieldType | Malformed {
  let forms = schemas.flatMap(formsOf);
  let at = "resource";
  for (const step of path) {
    const next = forms.flatMap((form) => fieldsOf(form, step));
    if (next.length === 0) return malformed(`${at}: ${unknownWord("field", step, forms.flatMap(keysOf))}`);
    forms = next.flatMap(formsOf);
    at += `.${step}`;
  }
  const types = new Set(forms.map(valueType).filter((type) => type !== undefined));
  const [type] = types;
  if (type === undefined) return malformed(`${at} has no text of its own; name one of its fields`);
  return types.size === 1 ? type : "any";
}

/** The schema without its wrappers: one for each form that a value may have. */
function formsOf(schema: z.ZodType): z.ZodType[] {
  if (schema instanceof z.ZodOptional) return formsOf(schema.def.innerType as z.ZodType);
  if (schema instanceof z.ZodPipe) return formsOf(schema.def.in as z.ZodType);
  if (schema instanceof z.ZodUnion) return schema.def.options.flatMap((form) => formsOf(form as z.ZodType));
  return [schema];
}

function fieldsOf(form: z.ZodType, key: string): z.ZodType[] {
  if (form instanceof z.ZodUnknown) return [form];
  if (form instanceof z.ZodRecord) return [form.def.valueType as z.ZodType];
  if (!(form instanceof z.ZodObject)) return [];
  const { shape } = form.def;
  return Object.hasOwn(shape, key) ? [shape[key] as z.ZodType] : [];
}

function keysOf(form: z.ZodType): string[] {
  return form instanceof z.ZodObject ? Object.keys(form.def.shape) : [];
}

function valueType(form: z.ZodType): FieldType | undefined {
  if (form instanceof z.ZodUnknown) return "any";
  if (form instanceof z.ZodObject || form instanceof z.ZodRecord) return undefined;
  if (!(form instanceof z.ZodArray)) return "text";
  return formsOf(form.def.element as z.ZodType).some((item) => valueType(item) === "text") ? "list" : undefined;
}
