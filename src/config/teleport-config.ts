import type {
  App,
  ClusterNetworkingConfig,
  LabelConditions,
  LockingMode,
  SecondFactor,
  TokenRole,
} from "../api/mod.ts";
import type { Cidr, LogLevel } from "../base/mod.ts";
import type { ValueSource } from "./value-source.ts";

/** One process's configuration: teleport.yaml and flags, with defaults filled in. A section is absent when it is off. */
export interface TeleportConfig {
  /** `file:line:col: …`, for the log and the terminal. */
  readonly warnings: readonly string[];
  readonly nodename: string;
  readonly dataDir: string;
  readonly pidFile: string | undefined;
  /** `/healthz`, `/readyz`, `/metrics`. */
  readonly diagAddr: string | undefined;
  readonly log: {
    readonly level: LogLevel;
    readonly format: "text" | "json";
    readonly output: "stderr" | "stdout" | { readonly path: string };
  };
  /** What a first start joins with; see `readValue`. */
  readonly joinToken: ValueSource | undefined;
  readonly caPins: readonly ValueSource[];
  /** `host:port`. With Auth in this process: its own listener. */
  readonly authServer: string | undefined;
  /** `host:port`; never together with an explicit `auth_server`. */
  readonly proxyServer: string | undefined;
  readonly auth: AuthConfig | undefined;
  readonly proxy: ProxyConfig | undefined;
  readonly app: AppConfig | undefined;
}

export interface AuthConfig {
  /** Counts at the first start only; absent: the node's name. */
  readonly clusterName: string | undefined;
  readonly listenAddr: string;
  readonly publicAddrs: readonly string[];
  readonly storagePath: string;
  readonly auditDir: string;
  /** Absent: the audit log is kept for ever. */
  readonly auditRetentionMs: number | undefined;
  readonly authentication: {
    readonly secondFactors: readonly SecondFactor[];
    readonly webauthnRpId: string | undefined;
    readonly defaultSessionTtlMs: number;
    readonly lockingMode: LockingMode | undefined;
    readonly localAuth: boolean | undefined;
    readonly passwordless: boolean | undefined;
    readonly requireSessionMfa: boolean | undefined;
    readonly disconnectExpiredCert: boolean | undefined;
    /** The file sets it, so `cluster_auth_preference` has the origin `config-file`. */
    readonly fromFile: boolean;
  };
  readonly staticTokens: readonly { readonly roles: readonly TokenRole[]; readonly token: string }[];
  readonly messageOfTheDay: string;
  /** What the file sets of `cluster_networking_config`, which then has the origin `config-file`. Absent: nothing. */
  readonly networking: ClusterNetworkingConfig["spec"] | undefined;
}

export interface ProxyConfig {
  readonly webListenAddr: string;
  /** `host` or `host:port`; the first is what clients are told. */
  readonly publicAddrs: readonly string[];
  /** For agents; by default the first of `publicAddrs`. */
  readonly tunnelPublicAddrs: readonly string[];
  /** Empty: self-signed, kept in the data directory. */
  readonly httpsKeypairs: readonly { readonly keyFile: string; readonly certFile: string }[];
  /** PROXY protocol headers are expected from these balancers; empty: from every other machine. Absent: from nobody. */
  readonly proxyProtocol: { readonly from: readonly Cidr[] } | undefined;
}

export interface AppConfig {
  readonly apps: readonly App[];
  /** Which of the cluster's `app` resources this agent serves besides. */
  readonly selectors: readonly LabelConditions[];
}

/** Flags of `teleport start`; each wins over the file. */
export interface StartFlags {
  readonly debug?: boolean | undefined;
  /** `auth`, `proxy`, `app`: these services run, and no others. */
  readonly roles?: readonly string[] | undefined;
  readonly authServer?: string | undefined;
  readonly proxyServer?: string | undefined;
  readonly token?: string | undefined;
  readonly caPins?: readonly string[] | undefined;
  readonly nodename?: string | undefined;
  readonly pidFile?: string | undefined;
  readonly diagAddr?: string | undefined;
  readonly dataDir?: string | undefined;
}
