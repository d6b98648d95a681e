import { BadInputError } from "../api/mod.ts";
import { MAX_KEY_LEN, storageKey } from "../storage/mod.ts";

/** A storage key of names that callers chose. Throws `BadInputError` where storage could not hold it. */
export function keyFor(...parts: string[]): string {
  const key = storageKey(...parts);
  if (key.length > MAX_KEY_LEN) throw new BadInputError("the name is too long");
  // Storage would take it for another name.
  if (!parts.every((part) => part.isWellFormed())) throw new BadInputError("the name is not Unicode text");
  return key;
}
