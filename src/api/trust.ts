import { z } from "zod";
import { isMalformed } from "../base/mod.ts";
import { literal, metadata, resourceName, text, texts, timestamp, tokenName } from "./common.ts";
import { MAX_ENTRIES } from "./limits.ts";
import { parseHostPort } from "./names.ts";
import { isRegexPattern, parseRegex } from "./predicate/mod.ts";

const address = text.refine((value) => parseHostPort(value)?.port !== undefined, {
  error: "expected host:port, such as teleport.example.com:443",
});

const remoteRole = text.min(1).superRefine((value, context) => {
  if (!isRegexPattern(value)) return;
  const regex = parseRegex(value);
  if (!isMalformed(regex)) return;
  context.addIssue({ code: "custom", message: `invalid regular expression: ${regex.malformed}` });
});

/**
 * Which of the leaf's own roles a role of the root is worth here. `remote` is a
 * name, has `*` for any text, or is a `^regex$`; `$1`, `$2` … in `local` repeat
 * its stars or groups.
 */
export const roleMapSchema = z
  .array(
    z.strictObject({
      remote: remoteRole.describe("A role of the root: a name, with * for any text, or ^REGEX$."),
      local: z
        .array(resourceName)
        .min(1)
        .max(MAX_ENTRIES)
        .describe("What it is worth here: names of this cluster's roles, in which $1 repeats a group or a star."),
    }),
  )
  .max(MAX_ENTRIES);
export type RoleMap = z.infer<typeof roleMapSchema>;

/** A leaf's word that it trusts the users of a root cluster; its name is the root's. */
export const trustedClusterSchema = z.strictObject({
  kind: literal("kind", "trusted_cluster"),
  version: literal("version", "v2"),
  metadata: metadata(resourceName.describe("Name of the root cluster.")),
  spec: z.strictObject({
    enabled: z.boolean().optional().describe("Whether the trust is in force. Absent: yes."),
    token: tokenName.optional().describe("A token of the root with the role TrustedCluster. Used once and not kept."),
    web_proxy_addr: address.describe("The root's proxy, HOST:PORT."),
    tunnel_addr: address.optional().describe("Where this cluster's proxies connect; by default web_proxy_addr."),
    role_map: roleMapSchema
      .min(1, "needs at least one entry, such as {remote: access, local: [access]}")
      .describe("Which of this cluster's roles each role of the root is worth here."),
  }),
  status: z
    .strictObject({
      connection: z.enum(["online", "offline"]).describe("Whether the root is reached."),
      error: text.optional().describe("Why it is offline."),
      tunnel_addrs: texts.optional().describe("Of the root's proxies, for this cluster's. Empty: where spec says."),
    })
    .optional()
    .describe("Written by Auth."),
});
export type TrustedCluster = z.infer<typeof trustedClusterSchema>;

/** A leaf as its root sees it. Made by the leaf's own request. */
export const remoteClusterSchema = z.strictObject({
  kind: literal("kind", "remote_cluster"),
  version: literal("version", "v3"),
  metadata: metadata(resourceName.describe("Name of the leaf cluster.")),
  spec: z.strictObject({}).optional(),
  status: z
    .strictObject({
      connection: z.enum(["online", "offline"]).describe("Whether a proxy of the leaf is connected."),
      last_heartbeat: timestamp.optional().describe("When it was heard of last."),
    })
    .optional()
    .describe("Written by Auth."),
});
export type RemoteCluster = z.infer<typeof remoteClusterSchema>;
