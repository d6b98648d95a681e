import { isMalformed } from "../base/mod.ts";
import { BadInputError } from "./errors.ts";
import { FILTER_LANGUAGE, type FilterSubject, matchesSearch, parseExpression } from "./predicate/mod.ts";
import type { Resource } from "./resource.ts";

/** What a listing is narrowed to; all of it must hold. */
export interface ListFilter {
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly search?: readonly string[] | undefined;
  readonly query?: string | undefined;
}

/** The filter as a function. Throws `BadInputError` with the column where the query is wrong. */
export function listFilter({ labels, search, query }: ListFilter): (resource: Resource) => boolean {
  const wanted = Object.entries(labels ?? {});
  const expression = query ? parseExpression(query, FILTER_LANGUAGE) : undefined;
  if (expression !== undefined && isMalformed(expression)) {
    throw new BadInputError(`query, column ${expression.at + 1}: ${expression.malformed}`);
  }
  return (resource) => {
    const subject = subjectOf(resource);
    if (!wanted.every(([key, value]) => Object.hasOwn(subject.labels, key) && subject.labels[key] === value))
      return false;
    if (search !== undefined && !matchesSearch(subject, search)) return false;
    // What cannot be decided of one resource does not hold for it.
    return expression === undefined || expression.test(subject) === true;
  };
}

/** An agent's announcement is found by the app that it serves, as in Teleport. */
function subjectOf(resource: Resource): FilterSubject {
  const shown = resource.kind === "app_server" ? resource.spec.app : resource;
  return { resource: shown, name: shown.metadata.name, labels: shown.metadata.labels ?? {} };
}
