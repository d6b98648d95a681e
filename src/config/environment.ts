import { homedir, userInfo } from "node:os";
import { isAbsolute, join, resolve } from "node:path";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What `tsh` and `tctl` take from the environment. Flags win over it. */
export interface ClientEnvironment {
  /** Where profiles live: `TELEPORT_HOME`, else `~/.tsh`. Absolute. */
  readonly home: string;
  /** `TELEPORT_PROXY`, `HOST` or `HOST:PORT`. */
  readonly proxy: string | undefined;
  /** `TELEPORT_USER`. */
  readonly user: string | undefined;
  /** The account that runs the program: the default user name. */
  readonly osUser: string;
  /** `TELEPORT_AUTH`: how to log in, `local` or `passwordless`. */
  readonly auth: string | undefined;
  /** `TELEPORT_MFA_MODE`: which second factor to ask for. */
  readonly mfaMode: string | undefined;
  /** Whether there is a desktop, on which a browser can be opened (`DISPLAY`, `WAYLAND_DISPLAY`). */
  readonly hasDesktop: boolean;
  /** `TELEPORT_CLUSTER`, a leaf of the current login. */
  readonly cluster: string | undefined;
  /** `TELEPORT_IDENTITY_FILE`. */
  readonly identityFile: string | undefined;
  /** `TELEPORT_AUTH_SERVER`, `HOST:PORT` of Auth or of a proxy. */
  readonly authServer: string | undefined;
  /**
   * `TELEPORT_CONFIG_FILE`. Absent: the default path if it exists. Set but
   * empty: no file at all, so that `tctl` uses the tsh profile.
   */
  readonly configFile: { readonly path: string; readonly explicit: boolean } | undefined;
  readonly debug: boolean;
  readonly insecure: boolean;
  /** `TELEPORT_EDITOR`, `VISUAL`, `EDITOR`, `vi`, in this order. */
  readonly editor: string;
  /** `XDG_RUNTIME_DIR`, where the user's programs meet. Absolute. */
  readonly runtimeDir: string | undefined;
  /** `SSL_CERT_FILE`. */
  readonly sslCertFile: string | undefined;
  /** `SSL_CERT_DIR`, several separated by colons. */
  readonly sslCertDir: string | undefined;
  /** `HTTPS_PROXY` or `https_proxy`: the HTTP proxy on the way to the cluster's proxies. */
  readonly httpsProxy: string | undefined;
  /** `NO_PROXY` or `no_proxy`: what is reached without it. */
  readonly noProxy: string | undefined;
}

export const DEFAULT_CONFIG_FILE = "/etc/teleport.yaml";

/** Reads the environment once; an empty value counts as unset, except where empty has a meaning. */
export function readClientEnvironment(env: Environment): ClientEnvironment {
  return {
    home: homeOf(env),
    proxy: env.TELEPORT_PROXY || undefined,
    user: env.TELEPORT_USER || undefined,
    osUser: osUserOf(env),
    auth: env.TELEPORT_AUTH || undefined,
    mfaMode: env.TELEPORT_MFA_MODE || undefined,
    hasDesktop: Boolean(env.DISPLAY || env.WAYLAND_DISPLAY),
    cluster: env.TELEPORT_CLUSTER || undefined,
    identityFile: env.TELEPORT_IDENTITY_FILE || undefined,
    authServer: env.TELEPORT_AUTH_SERVER || undefined,
    configFile: readConfigFilePath(env),
    debug: isOn(env.TELEPORT_DEBUG),
    insecure: isOn(env.TELEPORT_INSECURE),
    editor: env.TELEPORT_EDITOR || env.VISUAL || env.EDITOR || "vi",
    runtimeDir: env.XDG_RUNTIME_DIR?.startsWith("/") ? env.XDG_RUNTIME_DIR : undefined,
    sslCertFile: env.SSL_CERT_FILE || undefined,
    sslCertDir: env.SSL_CERT_DIR || undefined,
    httpsProxy: env.HTTPS_PROXY || env.https_proxy || undefined,
    noProxy: env.NO_PROXY || env.no_proxy || undefined,
  };
}

/** The file that `teleport` and `tctl` read when no `-c` names one. */
export function readConfigFilePath(env: Environment): { path: string; explicit: boolean } | undefined {
  const path = env.TELEPORT_CONFIG_FILE;
  if (path === undefined) return { path: DEFAULT_CONFIG_FILE, explicit: false };
  return path === "" ? undefined : { path, explicit: true };
}

function homeOf(env: Environment): string {
  const home = env.TELEPORT_HOME;
  if (home) return isAbsolute(home) ? home : resolve(home);
  return join(env.HOME || homedir(), ".tsh");
}

/** Some accounts in containers have a number and no name. */
function osUserOf(env: Environment): string {
  try {
    return userInfo().username;
  } catch {
    return env.USER || env.LOGNAME || "";
  }
}

function isOn(value: string | undefined): boolean {
  return ["1", "true", "yes", "on"].includes(value?.toLowerCase() ?? "");
}
