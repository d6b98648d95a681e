import type { Target } from "./direct.ts";
import { ConnectProxySettingError } from "./errors.ts";
import { exemptBy } from "./no-proxy.ts";

/** An HTTP proxy, as HTTPS_PROXY and NO_PROXY name it. */
export interface ConnectProxy {
  readonly host: string;
  readonly port: number;
  /** It is spoken to in TLS itself. */
  readonly secure: boolean;
  /** The value of Proxy-Authorization. */
  readonly authorization: string | undefined;
  /** Is reached without it. */
  exempt(target: Target): boolean;
}

/**
 * `httpsProxy`: `[http[s]://][USER:PASSWORD@]HOST[:PORT]`. Throws
 * ConnectProxySettingError, which never quotes the value: there may be a password in it.
 */
export function connectProxyOf(httpsProxy: string, noProxy = ""): ConnectProxy {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(httpsProxy) ? httpsProxy : `http://${httpsProxy}`);
  if (url === null || url.hostname === "") throw wrong("is not the address of a proxy");
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw wrong(`names a proxy of the kind ${url.protocol}//, which is not known here`);
  }
  const secure = url.protocol === "https:";
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
    secure,
    authorization: basicOf(url),
    exempt: exemptBy(noProxy),
  };
}

/** RFC 7617. */
function basicOf({ username, password }: URL): string | undefined {
  if (username === "" && password === "") return undefined;
  try {
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return `Basic ${Buffer.from(pair, "utf8").toString("base64")}`;
  } catch {
    throw wrong("has a user name or password with a % that begins no escape: write it as %25");
  }
}

function wrong(what: string): ConnectProxySettingError {
  return new ConnectProxySettingError(
    `the environment variable HTTPS_PROXY ${what}: expected http://HOST:PORT or http://USER:PASSWORD@HOST:PORT (https:// where the proxy itself speaks TLS)`,
  );
}
