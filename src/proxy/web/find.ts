import { VERSION } from "../../base/mod.ts";

/** What the proxy says about itself to anyone who asks (`/webapi/find`, `/webapi/ping`). */
export interface PublicFacts {
  readonly clusterName: string;
  /** Every name of this proxy, lower case: requests for other hosts are for apps. */
  readonly hosts: readonly string[];
  /** `host:port` for clients. */
  readonly publicAddr: string;
  /** `host:port` for agents. */
  readonly tunnelPublicAddr: string;
  /** Where it listens: `0.0.0.0:3080`. */
  readonly webListenAddr: string;
}

export interface AuthPreference {
  /** Second factors that a login accepts; none: the password alone. */
  readonly accepted: readonly string[];
  /** Asked only of users who have one. */
  readonly optional: boolean;
  readonly passwordless: boolean;
  readonly rpId: string | undefined;
  readonly defaultSessionTtlMs: number;
  /** Shown before a login; empty: none. */
  readonly messageOfTheDay: string;
}

const DIAL_TIMEOUT_NS = 30_000_000_000; // Teleport's durations in JSON are nanoseconds.

/** `find` leaves the authentication zero-valued: it must answer without asking anyone. */
export function findResponse(proxy: PublicFacts): object {
  return { auth: { type: "", second_factor: "" }, ...common(proxy) };
}

export function pingResponse(proxy: PublicFacts, preference: AuthPreference): object {
  const { accepted, rpId } = preference;
  const passkeys = accepted.includes("webauthn");
  return {
    auth: {
      type: "local",
      second_factor: secondFactor(preference),
      second_factors: [...accepted],
      preferred_local_mfa: passkeys ? "webauthn" : (accepted[0] ?? ""),
      allow_passwordless: passkeys && preference.passwordless,
      ...(passkeys && rpId !== undefined && { webauthn: { rp_id: rpId } }),
      allow_headless: false,
      local: { name: "" },
      private_key_policy: "none",
      has_motd: preference.messageOfTheDay !== "",
      load_all_cas: false,
      default_session_ttl: preference.defaultSessionTtlMs * 1_000_000,
    },
    ...common(proxy),
  };
}

function common(proxy: PublicFacts): object {
  return {
    proxy: {
      kube: { enabled: false },
      ssh: {
        listen_addr: proxy.webListenAddr,
        tunnel_listen_addr: proxy.webListenAddr,
        web_listen_addr: proxy.webListenAddr,
        public_addr: proxy.publicAddr,
        ssh_tunnel_public_addr: proxy.tunnelPublicAddr,
        dial_timeout: DIAL_TIMEOUT_NS,
      },
      db: {},
      tls_routing_enabled: true,
    },
    server_version: VERSION,
    min_client_version: minClientVersion(VERSION),
    cluster_name: proxy.clusterName,
    auto_update: {
      tools_version: VERSION,
      tools_auto_update: false,
      agent_version: VERSION,
      agent_auto_update: false,
      agent_update_jitter_seconds: 60,
    },
    automatic_upgrades: false,
    edition: "community",
    fips: false,
  };
}

/** One major version of skew is served. */
function minClientVersion(version: string): string {
  return `${Number(version.split(".")[0]) - 1}.0.0`;
}

/** The older single word for what `second_factors` lists. */
function secondFactor({ accepted, optional }: AuthPreference): string {
  if (optional) return "optional";
  if (accepted.length === 0) return "off";
  return accepted.length === 1 ? (accepted[0] ?? "off") : "on";
}
