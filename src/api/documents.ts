import { BadInputError } from "./errors.ts";
import { MAX_DOCUMENTS } from "./limits.ts";
import type { Resource } from "./resource.ts";
import { check, type Issue, kindOf } from "./validate.ts";
import { located, parseYaml, type SourceDocument } from "./yaml.ts";

/**
 * Reads the resources of a YAML stream, a JSON object or a JSON list (what
 * `tctl get --format=json` prints). Throws `BadInputError` whose message has
 * one `file:line:col: path: what` per problem of the first bad resource.
 */
export function parseDocuments(text: string, file = "stdin"): Resource[] {
  const resources = parseYaml(text, file).flatMap(resourcesOf);
  if (resources.length === 0)
    throw BadInputError.of([{ file, path: "", message: "no resources found, the input is empty" }]);
  if (resources.length > MAX_DOCUMENTS) {
    throw BadInputError.of([{ file, path: "", message: `more than ${MAX_DOCUMENTS} resources` }]);
  }
  return resources;
}

function resourcesOf(document: SourceDocument): Resource[] {
  if (!Array.isArray(document.value)) return [resourceOf(document, document.value, [])];
  return document.value.map((value, i) => resourceOf(document, value, [i]));
}

function resourceOf(document: SourceDocument, value: unknown, at: number[]): Resource {
  const fail = (issues: readonly Issue[]) =>
    located(
      document,
      issues.map((issue) => ({ ...issue, path: [...at, ...issue.path] })),
    );
  const kind = kindOf(value);
  if ("message" in kind) throw fail([kind]);
  const checked = check(kind.schema, value);
  if ("issues" in checked) throw fail(checked.issues);
  return checked.value;
}
