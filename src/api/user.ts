import { z } from "zod";
import { literal, metadata, resourceName, text, texts, timestamp, traitMap } from "./common.ts";

export const userSchema = z.strictObject({
  kind: literal("kind", "user"),
  version: literal("version", "v2"),
  metadata: metadata(resourceName),
  spec: z.strictObject({
    roles: texts,
    traits: traitMap.optional(),
    expires: timestamp.optional(),
    created_by: z
      .strictObject({
        time: timestamp.optional(),
        user: z.strictObject({ name: text }).optional(),
        connector: z.unknown().optional(),
      })
      .optional(),
    status: z
      .strictObject({
        is_locked: z.boolean().optional(),
        locked_message: text.optional(),
        lock_expires: timestamp.optional(),
      })
      .optional(),
    oidc_identities: z.array(z.unknown()).optional(),
    saml_identities: z.array(z.unknown()).optional(),
    github_identities: z.array(z.unknown()).optional(),
    trusted_device_ids: texts.optional(),
  }),
});

export type User = z.infer<typeof userSchema>;
