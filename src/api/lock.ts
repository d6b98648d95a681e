import { z } from "zod";
import { literal, metadata, resourceName, text, timestamp, unenforced } from "./common.ts";

/** What a lock may name; a lock with several of them holds for each. */
export const LOCK_TARGETS = ["user", "role", "app", "server_id", "mfa_device"] as const;
export type LockTarget = (typeof LOCK_TARGETS)[number];

const target = z
  .strictObject({
    user: resourceName.optional().describe("The user: every session and connection of theirs."),
    role: resourceName.optional().describe("Everybody who has the role."),
    app: resourceName.optional().describe("The app, for everybody."),
    server_id: resourceName.optional().describe("The uuid of a host: an agent or a proxy."),
    mfa_device: resourceName
      .optional()
      .describe("The uuid of an MFA device: every login and session that it was shown for (tsh mfa ls -v)."),
    login: unenforced("").describe("Not enforced by this version, hence refused."),
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
  metadata: metadata(resourceName.describe("Name of the lock; tctl lock makes up a uuid.")),
  spec: z.strictObject({
    target: target.describe("Whom or what it stops; with several, each of them."),
    message: text.optional().describe("Shown to whom it stops."),
    expires: timestamp.optional().describe("When it ends. Absent: when it is deleted."),
    created_at: timestamp.optional().describe("Written by Auth."),
    created_by: text.optional().describe("Written by Auth."),
  }),
});

export type Lock = z.infer<typeof lockSchema>;
