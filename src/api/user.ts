import { z } from "zod";
import { ignored, literal, metadata, resourceName, text, texts, timestamp, traitMap } from "./common.ts";

export const userSchema = z.strictObject({
  kind: literal("kind", "user"),
  version: literal("version", "v2"),
  metadata: metadata(resourceName.describe("The name that the user logs in by.")),
  spec: z.strictObject({
    roles: texts.describe("Names of the roles that the user has; at least one."),
    traits: traitMap
      .optional()
      .describe(
        'Lists of values that roles refer to as {{internal.NAME}}, {{external.NAME}} and user.spec.traits["NAME"].',
      ),
    expires: timestamp.optional().describe("After this the user cannot log in, and what is open ends."),
    created_by: z
      .strictObject({
        time: timestamp.optional().describe("When."),
        user: z
          .strictObject({ name: text.describe("Name.") })
          .optional()
          .describe("By whom."),
        connector: ignored(),
      })
      .optional()
      .describe("Who created the user, and when. Written by Auth."),
    status: z
      .strictObject({
        is_locked: z.boolean().optional().describe("Whether logins are refused."),
        locked_message: text.optional().describe("Why."),
        lock_expires: timestamp.optional().describe("Until when; absent: until an administrator lifts it."),
      })
      .optional()
      .describe("Whether logins are refused. Set by Auth after failed logins, lifted by tctl users unlock."),
    oidc_identities: z
      .array(z.unknown())
      .optional()
      .describe("Of a single sign-on, which this version does not have; kept, without effect."),
    saml_identities: z
      .array(z.unknown())
      .optional()
      .describe("Of a single sign-on, which this version does not have; kept, without effect."),
    github_identities: z
      .array(z.unknown())
      .optional()
      .describe("Of a single sign-on, which this version does not have; kept, without effect."),
    trusted_device_ids: texts
      .optional()
      .describe("Of device trust, which this version does not have; kept, without effect."),
  }),
});

export type User = z.infer<typeof userSchema>;
