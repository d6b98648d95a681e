import { z } from "zod";
import { durationText, idleTimeout, ignored, literal, metadata } from "./common.ts";

export const NETWORKING_CONFIG_NAME = "cluster-networking-config";

export const clusterNetworkingConfigSchema = z.strictObject({
  kind: literal("kind", "cluster_networking_config"),
  version: literal("version", "v2"),
  metadata: metadata(literal("name", NETWORKING_CONFIG_NAME)),
  spec: z.strictObject({
    client_idle_timeout: idleTimeout
      .optional()
      .describe("A connection without an octet for so long ends; roles may say less. Absent, 0 and never: no bound."),
    link_resume_window: z
      .union([durationText, z.literal(0)], { error: "expected a duration such as 5m, or 0" })
      .optional()
      .describe(
        "How long connections to apps survive without a network; 5m by default, 0: they end with it, 24h at most.",
      ),
    link_transports: z
      .int({ error: "expected 1 to 4" })
      .min(1, "expected 1 to 4")
      .max(4, "expected 1 to 4")
      .optional()
      .describe("Connections that a client spreads its streams to an app over; 1 by default."),
    proxy_listener_mode: z
      .union([z.literal("multiplex"), z.literal(1)], { error: 'only "multiplex" is supported: the proxy has one port' })
      .optional()
      .describe("The proxy has one port for everything."),
    // Of Teleport's other services, or of an implementation that is not this one.
    client_idle_timeout_message: ignored(),
    keep_alive_interval: ignored(),
    keep_alive_count_max: ignored(),
    session_control_timeout: ignored(),
    web_idle_timeout: ignored(),
    routing_strategy: ignored(),
    tunnel_strategy: ignored(),
    proxy_ping_interval: ignored(),
    assist_command_execution_workers: ignored(),
    case_insensitive_routing: ignored(),
    ssh_dial_timeout: ignored(),
  }),
});

export type ClusterNetworkingConfig = z.infer<typeof clusterNetworkingConfigSchema>;
