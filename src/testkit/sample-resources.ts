import type { Kind, Resource, ResourceOf } from "../api/mod.ts";

/** Names that the samples share, so that they fit each other. */
export interface SampleNames {
  /** The uuid of the host that announces. */
  readonly host: string;
  readonly user: string;
  readonly cluster: string;
}

const SESSION_ID = "0123456789abcdef0123456789abcdef";

/** One valid resource of each kind, as small as its schema allows. */
export function sampleResources({ host, user, cluster }: SampleNames): { readonly [K in Kind]: ResourceOf<K> } {
  const app = { kind: "app", version: "v3", metadata: { name: "sample" }, spec: { uri: "tcp://localhost:1" } } as const;
  const expires = new Date(Date.now() + 3_600_000).toISOString();
  return {
    vnet_config: { kind: "vnet_config", version: "v1", metadata: { name: "vnet-config" }, spec: {} },
    app,
    app_server: {
      kind: "app_server",
      version: "v3",
      metadata: { name: `${host}.sample` },
      spec: { version: "1", hostname: "h", host_id: host, app },
    },
    user: { kind: "user", version: "v2", metadata: { name: "sample" }, spec: { roles: ["access"] } },
    role: { kind: "role", version: "v7", metadata: { name: "sample" }, spec: {} },
    token: { kind: "token", version: "v2", metadata: { name: "sample-token" }, spec: { roles: ["App"] } },
    lock: { kind: "lock", version: "v2", metadata: { name: "sample" }, spec: { target: { user: "nobody" } } },
    cluster_auth_preference: {
      kind: "cluster_auth_preference",
      version: "v2",
      metadata: { name: "cluster-auth-preference" },
      spec: { second_factors: [] },
    },
    trusted_cluster: {
      kind: "trusted_cluster",
      version: "v2",
      metadata: { name: "sample.test" },
      spec: { enabled: false, web_proxy_addr: "127.0.0.1:1", role_map: [{ remote: "access", local: ["access"] }] },
    },
    remote_cluster: { kind: "remote_cluster", version: "v3", metadata: { name: "sample.test" } },
    cluster_networking_config: {
      kind: "cluster_networking_config",
      version: "v2",
      metadata: { name: "cluster-networking-config" },
      spec: {},
    },
    cert_authority: {
      kind: "cert_authority",
      version: "v2",
      metadata: { name: "sample" },
      spec: { type: "user", cluster_name: cluster, active_keys: [], additional_trusted_keys: [] },
    },
    proxy: {
      kind: "proxy",
      version: "v1",
      metadata: { name: host },
      spec: { hostname: "h", version: "1", public_addrs: [], tunnel_public_addr: "127.0.0.1:1" },
    },
    app_session: {
      kind: "app_session",
      version: "v1",
      metadata: { name: SESSION_ID, expires },
      spec: { user, app: "sample", public_addr: "sample.test", cluster, expires },
    },
  } satisfies { [K in Kind]: Resource };
}
