import { z } from "zod";
import { isMalformed, parseCidr } from "../base/mod.ts";
import { literal, metadata } from "./common.ts";
import { MAX_ENTRIES } from "./limits.ts";
import { isDnsSubdomain1123 } from "./names.ts";

export const VNET_CONFIG_NAME = "vnet-config";
/** RFC 6598's shared range: rarely routed on a laptop's own networks. */
export const DEFAULT_IPV4_CIDR = "100.64.0.0/10";

const cidrRange = z.string().superRefine((value, context) => {
  if (value === "") return; // means the default, as in Teleport
  const cidr = parseCidr(value);
  if (isMalformed(cidr)) {
    context.addIssue({ code: "custom", message: `parsing ipv4_cidr_range: invalid CIDR address: ${value}` });
  } else if (cidr.base.length !== 4) {
    context.addIssue({ code: "custom", message: `ipv4_cidr_range must be a valid IPv4 CIDR range: ${value}` });
  }
});

const suffix = z.string().superRefine((value, context) => {
  if (value === "") {
    context.addIssue({ code: "custom", message: "custom_dns_zone must have a non-empty suffix" });
  } else if (!isDnsSubdomain1123(value)) {
    const reason =
      "a DNS zone is lower-case labels of letters, digits and '-', each starting and ending with a letter or digit, joined by '.'";
    context.addIssue({
      code: "custom",
      message: `validating custom_dns_zone.suffix ${JSON.stringify(value)}: [${reason}]`,
    });
  }
});

export const vnetConfigSchema = z.strictObject({
  kind: literal("kind", "vnet_config"),
  version: literal("version", "v1"),
  metadata: metadata(literal("name", VNET_CONFIG_NAME)),
  spec: z.strictObject({
    ipv4_cidr_range: cidrRange
      .optional()
      .describe("IPv4 range from which VNet gives apps their addresses. Absent or empty: 100.64.0.0/10."),
    custom_dns_zones: z
      .array(
        z.strictObject({
          suffix: suffix.describe("A DNS name such as company.test; apps may lie at any depth below it."),
        }),
      )
      .max(MAX_ENTRIES)
      .optional()
      .describe("DNS zones besides the proxy's own in which VNet serves apps by their public_addr."),
  }),
});

export type VnetConfig = z.infer<typeof vnetConfigSchema>;

/** The range in force: an absent and an empty one mean the default. */
export function ipv4CidrOf(config: VnetConfig | undefined): string {
  return config?.spec.ipv4_cidr_range || DEFAULT_IPV4_CIDR;
}
