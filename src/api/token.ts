import { z } from "zod";
import { literal, metadata, stringMap, texts, tokenName } from "./common.ts";
import { unknownWord } from "./nearest.ts";

/** Canonical spellings; `app`, `App` and `APP` are the same role. */
export const TOKEN_ROLES = [
  "App",
  "Proxy",
  "Node",
  "Auth",
  "Db",
  "Kube",
  "Discovery",
  "WindowsDesktop",
  "Bot",
  "TrustedCluster",
  "Okta",
  "MDM",
] as const;
export type TokenRole = (typeof TOKEN_ROLES)[number];

export function parseTokenRole(value: string): TokenRole | undefined {
  const plain = value.trim().toLowerCase().replace(/[_-]/g, "");
  return TOKEN_ROLES.find((role) => role.toLowerCase() === plain);
}

const tokenRole = z.string().transform((value, context): TokenRole => {
  const role = parseTokenRole(value);
  if (role !== undefined) return role;
  context.addIssue({ code: "custom", message: unknownWord("role", value, TOKEN_ROLES) });
  return z.NEVER;
});

export const tokenRoles = z.array(tokenRole).min(1, "a token needs at least one role");

export const tokenSchema = z.strictObject({
  kind: literal("kind", "token"),
  version: literal("version", "v2"),
  metadata: metadata(tokenName.describe("The token itself: whoever knows it may join.")),
  spec: z.strictObject({
    roles: tokenRoles.describe("What may join by it: App, Proxy."),
    join_method: z
      .literal("token", { error: 'only join_method "token" is supported' })
      .optional()
      .describe("How a host proves that it may join: by knowing the token's name."),
    app_names: texts
      .min(1)
      .optional()
      .describe("Apps that hosts which joined by it may announce: names, * for any text. Absent: all."),
    public_addrs: texts.min(1).optional().describe("Public addresses that they may announce, likewise."),
    max_uses: z.int().min(1).optional().describe("How many hosts may join by it. Absent: any number."),
    suggested_labels: z.unknown().optional().describe("Accepted for compatibility, without effect."),
    suggested_agent_matcher_labels: stringMap.optional().describe("Accepted for compatibility, without effect."),
  }),
  status: z
    .strictObject({ uses: z.int().min(0).optional().describe("Hosts that have joined by it.") })
    .optional()
    .describe("Written by Auth: how many hosts have joined by it."),
});

export type Token = z.infer<typeof tokenSchema>;

/** A token's name is its secret; enough of it remains to tell tokens apart, not enough to join by. */
export function maskedToken(name: string): string {
  const shown = Math.floor(name.length / 4);
  return "*".repeat(name.length - shown) + name.slice(name.length - shown);
}
