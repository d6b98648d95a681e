import { type ClusterNetworkingConfig, parseDuration } from "../api/mod.ts";
import { linkLimits } from "../link/mod.ts";
import type { LinkSettings } from "../tunnel/mod.ts";
import { MAX_RESUME_MS } from "./limits.ts";

/** What the cluster says of links; they learn it as they begin. */
export function linkSettings(networking: ClusterNetworkingConfig | undefined): LinkSettings {
  const { link_resume_window = "", link_transports = 1 } = networking?.spec ?? {};
  const windowMs = parseDuration(String(link_resume_window)) ?? linkLimits.RESUME_MS;
  return { resumeMs: Math.min(windowMs, MAX_RESUME_MS), transports: link_transports };
}
