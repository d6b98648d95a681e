import { readFileSync, statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { ConfigFileError } from "./errors.ts";

/** A secret or pin: written out, or in a file that an absolute path names. */
export type ValueSource = { readonly value: string } | { readonly path: string };

/** Octets of such a file: a token or a few pins. */
export const MAX_VALUE_FILE_LEN = 64 * 1024;

export function valueSource(text: string): ValueSource {
  return isAbsolute(text) ? { path: text } : { value: text };
}

/**
 * The value, without surrounding space: people paste tokens into files with an
 * editor. Read when it is needed, since a join token's file may be gone after
 * the first start. Throws `ConfigFileError`.
 */
export function readValue(source: ValueSource, what: string): string {
  if ("value" in source) return source.value.trim();
  try {
    if (statSync(source.path).size > MAX_VALUE_FILE_LEN) {
      throw new ConfigFileError(`${what} in ${source.path} is larger than ${MAX_VALUE_FILE_LEN} octets`, source.path);
    }
    const value = readFileSync(source.path, "utf8").trim();
    if (value !== "") return value;
  } catch (error) {
    if (error instanceof ConfigFileError) throw error;
    throw ConfigFileError.of(`${what} in`, source.path, error);
  }
  throw new ConfigFileError(`${what} in ${source.path} is empty`, source.path);
}
