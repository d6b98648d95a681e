import type { ClientEnvironment } from "../../config/mod.ts";
import { connectProxyOf, type DialTcp, through, webRoots } from "../../dial/mod.ts";

/** The way to the cluster's proxies that HTTPS_PROXY and NO_PROXY prescribe; `undefined`: straight. */
export function outgoing(env: ClientEnvironment): DialTcp | undefined {
  const { httpsProxy, noProxy, sslCertFile: certFile, sslCertDir: certDir } = env;
  if (httpsProxy === undefined) return undefined;
  return through(connectProxyOf(httpsProxy, noProxy), () => webRoots({ certFile, certDir }));
}
