import { isIpText } from "./names.ts";

export interface AppUri {
  readonly scheme: "tcp" | "http" | "https";
  /** Without brackets. */
  readonly host: string;
  /** Absent where the URI has none: a multi-port TCP app, or the scheme's own port. */
  readonly port?: number;
}

const NOT_SERVED = new Set(["cloud", "llm", "mcp+stdio", "mcp+http", "mcp+https", "mcp+sse+http", "mcp+sse+https"]);

/** Reads an app's `uri`; a text explains what is wrong with it. Schemeless `host:port` is HTTP, as in Teleport. */
export function parseAppUri(uri: string): AppUri | string {
  if (uri === "") return "must not be empty";
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(uri)?.[1]?.toLowerCase();
  if (scheme === undefined)
    return uri.includes("://") ? `invalid URI ${JSON.stringify(uri)}` : parseAppUri(`http://${uri}`);
  if (NOT_SERVED.has(scheme)) return `scheme "${scheme}" is not supported; use tcp, http or https`;
  if (scheme !== "tcp" && scheme !== "http" && scheme !== "https") {
    return `unknown scheme "${scheme}"; use tcp, http or https`;
  }
  if (!URL.canParse(uri)) return `invalid URI ${JSON.stringify(uri)}`;
  const url = new URL(uri);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (!isHostText(host)) return `invalid host in URI ${JSON.stringify(uri)}`;
  if (url.username !== "" || url.password !== "") return "must not contain a user name or password";
  if (url.port === "0") return "port must be 1 to 65535";
  if (scheme === "tcp" && (!["", "/"].includes(url.pathname) || url.search !== "" || url.hash !== "")) {
    return "a tcp:// URI is only a host and a port";
  }
  return url.port === "" ? { scheme, host } : { scheme, host, port: Number(url.port) };
}

function isHostText(host: string): boolean {
  return isIpText(host) || /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?$/.test(host);
}
