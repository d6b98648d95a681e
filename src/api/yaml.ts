import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  parseAllDocuments,
  visit,
} from "yaml";
import type { z } from "zod";
import { messageOf } from "../base/mod.ts";
import { BadInputError, type Problem } from "./errors.ts";
import { MAX_DOCUMENT_BYTES, MAX_DOCUMENTS, MAX_NAME_LEN, MAX_PROBLEMS, MAX_YAML_ALIASES } from "./limits.ts";
import { check, type Issue, type Path, problemOf } from "./validate.ts";

/** One YAML 1.2 document (JSON is one) whose every value knows its line and column. */
export interface SourceDocument {
  readonly file: string;
  /** Plain data. `yes` and `no` are strings, as YAML 1.2 says; schemas that want booleans take them. */
  readonly value: unknown;
  /** The problem with the place of `issue.path`, or of the nearest enclosing value. */
  locate(issue: Issue): Problem;
}

/**
 * Reads YAML or JSON. Duplicate keys, unknown tags, keys that are not scalars
 * and alias bombs are errors. Empty documents are skipped.
 * Throws `BadInputError` with file, line and column.
 */
export function parseYaml(text: string, file: string): SourceDocument[] {
  if (text.length > MAX_DOCUMENT_BYTES) {
    throw BadInputError.of([{ file, path: "", message: `larger than ${MAX_DOCUMENT_BYTES} octets` }]);
  }
  const lines = new LineCounter();
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), col: Math.max(col, 1) };
  };
  const documents = [...parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, logLevel: "silent" })];
  if (documents.length > MAX_DOCUMENTS) {
    throw BadInputError.of([{ file, path: "", message: `more than ${MAX_DOCUMENTS} documents` }]);
  }
  const out: SourceDocument[] = [];
  for (const document of documents) {
    const faults = syntaxFaults(document, text);
    if (faults.length > 0) {
      throw BadInputError.of(faults.map(({ at, message }) => ({ ...place(at), path: "", message })));
    }
    const value = toPlain(document, (message) =>
      BadInputError.of([{ ...place(document.range[0]), path: "", message }]),
    );
    if (value === null) continue;
    const locate = (issue: Issue): Problem => ({
      ...place(offsetOf(document, issue.path, issue.key)),
      ...problemOf(issue),
    });
    out.push({ file, value, locate });
  }
  return out;
}

/** Applies a schema to a document. Throws `BadInputError` with each problem's place. */
export function checkDocument<T>(schema: z.ZodType<T>, document: SourceDocument): T {
  const checked = check(schema, document.value);
  if ("value" in checked) return checked.value;
  throw located(document, checked.issues);
}

/** In the order of the text, whatever the order of the checks. */
export function located(document: SourceDocument, issues: readonly Issue[]): BadInputError {
  const problems = issues.map((issue) => document.locate(issue));
  return BadInputError.of(problems.sort((a, b) => a.line! - b.line! || a.col! - b.col!));
}

interface Fault {
  at: number;
  message: string;
}

function syntaxFaults(document: Document.Parsed, text: string): Fault[] {
  const faults: Fault[] = [...document.errors, ...document.warnings].map((error) => ({
    at: error.pos[0],
    message: faultMessage(error, text),
  }));
  if (faults.length > 0) return untilSyntaxIsLost(faults);
  visit(document, {
    Pair(_, pair) {
      if (isNode(pair.key) && !isScalar(pair.key) && !isAlias(pair.key)) {
        faults.push({ at: pair.key.range?.[0] ?? 0, message: "a key must be plain text, not a list or a map" });
      }
    },
  });
  return faults.slice(0, MAX_PROBLEMS);
}

function faultMessage(error: { code: string; message: string; pos: [number, number] }, text: string): string {
  if (error.code === "RESOURCE_EXHAUSTION") return "nested too deeply";
  if (error.code !== "DUPLICATE_KEY") return plainWords(error);
  const key = /^["']?([\w.*-]+)/.exec(text.slice(error.pos[0], error.pos[0] + MAX_NAME_LEN))?.[1];
  return key === undefined ? "duplicate key" : `duplicate key "${key}"`;
}

/** Where the parser speaks of its grammar: what the person at the file may have done. */
function plainWords(error: { code: string; message: string }): string {
  switch (error.code) {
    case "BLOCK_AS_IMPLICIT_KEY":
      return 'a "key: value" inside a value: is the next line indented too far, or are quotes missing?';
    case "MULTILINE_IMPLICIT_KEY":
      return 'a line without ":", or the next line is indented wrongly';
    case "MISSING_CHAR":
      return error.message.startsWith("Implicit map keys") ? 'a key without ":"' : error.message;
    case "BAD_INDENT":
      if (error.message.startsWith("Flow sequence")) return 'a list that begins with "[" does not end with "]"';
      if (error.message.startsWith("Flow map")) return 'a map that begins with "{" does not end with "}"';
      return error.message;
    default:
      return error.message;
  }
}

/** Up to the first slip of syntax: the parser's later complaints mostly follow from it. */
function untilSyntaxIsLost(faults: Fault[]): Fault[] {
  const first = faults.findIndex((fault) => !fault.message.startsWith("duplicate key"));
  if (faults.some((fault) => fault.message === "nested too deeply")) {
    return [{ at: faults[0]!.at, message: "nested too deeply" }];
  }
  return faults.slice(0, Math.min(first < 0 ? faults.length : first + 1, MAX_PROBLEMS));
}

function toPlain(document: Document.Parsed, fail: (message: string) => BadInputError): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_YAML_ALIASES });
  } catch (error) {
    const message = messageOf(error);
    if (error instanceof RangeError) throw fail("nested too deeply");
    if (error instanceof ReferenceError)
      throw fail(message.startsWith("Excessive") ? "too many YAML aliases" : message);
    throw error;
  }
}

/** The offset of the value at `path`, of its key if `key`; of the nearest parent that exists. */
function offsetOf(document: Document.Parsed, path: Path, key: boolean): number {
  let node: unknown = document.contents;
  for (const [i, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    if (!isCollection(node)) break;
    const last = i === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step));
      if (pair === undefined) break;
      if ((key && last) || pair.value === null) return offsetOfNode(pair.key) ?? 0;
      node = pair.value;
      continue;
    }
    const item: unknown = node.items[Number(step)];
    if (item === undefined || isPair(item)) break;
    node = item;
  }
  return offsetOfNode(node) ?? 0;
}

function offsetOfNode(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
