import { z } from "zod";
import { literal, metadata, resourceName, text, timestamp, unenforced } from "./common.ts";

/** What a lock may name; a lock with several of them holds for each. */
export const LOCK_TARGETS = ["user", "role", "app", "server_id"] as const;
export type LockTarget = (typeof LOCK_TARGETS)[number];

const target = z
  .strictObject({
    user: resourceName.optional(),
    role: resourceName.optional(),
    app: resourceName.optional(),
    /** The uuid of a host: an agent or a proxy. */
    server_id: resourceName.optional(),
    login: unenforced(""),
    mfa_device: unenforced(""),
    windows_desktop: unenforced(""),
    access_request: unenforced(""),
    device: unenforced(""),
  })
  .refine((given) => LOCK_TARGETS.some((kind) => given[kind] !== undefined), {
    error: `needs at least one of ${LOCK_TARGETS.join(", ")}`,
  });

/** Ends what it targets, at Auth and at every agent, until it expires or is deleted. */
export const lockSchema = z.strictObject({
  kind: literal("kind", "lock"),
  version: literal("version", "v2"),
  metadata: metadata(resourceName),
  spec: z.strictObject({
    target,
    /** Shown to whom it stops. */
    message: text.optional(),
    /** Absent: for ever. */
    expires: timestamp.optional(),
    /** Written by Auth. */
    created_at: timestamp.optional(),
    created_by: text.optional(),
  }),
});

export type Lock = z.infer<typeof lockSchema>;
