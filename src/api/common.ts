import { z } from "zod";
import { parseDuration } from "./duration.ts";
import { MAX_ENTRIES, MAX_NAME_LEN, MAX_TEXT_LEN } from "./limits.ts";

export const text = z.string().max(MAX_TEXT_LEN, `must be at most ${MAX_TEXT_LEN} characters`);
export const texts = z.array(text).max(MAX_ENTRIES, `must have at most ${MAX_ENTRIES} entries`);
export const stringMap = z.record(text, text);
/** A user's traits, or a role's list-valued conditions. */
export const traitMap = z.record(text, texts);

/** RFC 3339, UTC or with an offset. */
export const timestamp = z
  .string()
  .refine((value) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(value) && !Number.isNaN(Date.parse(value)), {
    error: "expected an RFC 3339 time such as 2026-01-31T12:00:00Z",
  });

export const durationText = z
  .string()
  // Abandoned, so that a union with other words says its own sentence.
  .refine((value) => parseDuration(value) !== undefined, {
    error: "expected a duration such as 12h or 30m",
    abort: true,
  });

/** How long a connection may be without an octet; `never` and 0 are no bound. */
export const idleTimeout = z.union([durationText, z.literal("never"), z.literal(0)], {
  error: "expected a duration such as 30m, or never",
});

/** Go's and YAML's ways to say it. */
export const yesOrNo = z.union([z.boolean(), z.enum(["yes", "no"])], { error: "expected yes or no" });

export const port = z
  .int({ error: "expected a port number, 1 to 65535" })
  .min(1, "expected a port number, 1 to 65535")
  .max(65_535, "expected a port number, 1 to 65535");

/** `require_session_mfa`. Teleport's further values are about hardware keys, which this version does not see. */
export const sessionMfa = z.union([z.boolean(), z.enum(["yes", "no", "on", "off"])], {
  error: "expected yes or no: hardware keys are not told from other devices in this version",
});

/** A name that is one path segment: users' and roles' names become file names and URI segments. */
export const resourceName = z
  .string()
  .min(1, "must not be empty")
  .max(MAX_NAME_LEN, `must be at most ${MAX_NAME_LEN} characters`)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  .refine((name) => !/[\u0000-\u001f\u007f/\\]/.test(name) && name.trim() === name && !/^\.{1,2}$/.test(name), {
    error: "must not contain slashes, control characters or surrounding space",
  });

/** A token's name is its secret: printable, and quoted nowhere. */
export const tokenName = z
  .string()
  .min(1, "must not be empty")
  .max(MAX_NAME_LEN, `must be at most ${MAX_NAME_LEN} characters`)
  .regex(/^[\x21-\x7e]+$/, "must be printable ASCII without spaces");

export function metadata<N extends z.ZodType<string>>(name: N) {
  const fields = z.strictObject({
    name,
    description: text.optional().describe("What it is for, for people."),
    labels: stringMap.optional().describe("Key and value pairs by which roles and listings choose."),
    expires: timestamp.optional().describe("When it ceases to be, as RFC 3339. Absent: never."),
    revision: text.optional().describe("Opaque; changes with every write. An update is conditional on it."),
    namespace: z.literal("default").optional().describe("Teleport's only namespace; accepted, never used."),
    id: z.unknown().optional().describe("Written by old versions; accepted, never used."),
  });
  return fields.describe("Its name and what every resource has.");
}

const LITERALS: Readonly<Record<string, string>> = {
  kind: "What kind of resource it is.",
  version: "Version of the kind's fields.",
  name: "There is one, of this name.",
};

/** A field that has one value only. */
export function literal<T extends string>(key: string, value: T) {
  return z.literal(value, { error: `${key} must be "${value}"` }).describe(LITERALS[key] ?? "");
}

/**
 * A setting of Teleport's that this version does not enforce and that would
 * restrict access: only the values that restrict nothing are accepted.
 */
export function unenforced(...harmless: unknown[]) {
  return z
    .unknown()
    .refine((value) => value === undefined || harmless.includes(value), {
      error: "is not enforced by this version; accepting it would give more access than it says",
    })
    .optional()
    .describe("Not enforced by this version: only what restricts nothing is accepted.");
}

/** A field of a part of Teleport that this version does not have. */
export function ignored() {
  return z.unknown().optional().describe("Of a part of Teleport that is not here: kept, without effect.");
}
