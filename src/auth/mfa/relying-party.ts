import { AUTH_PREFERENCE_NAME, parseHostPort } from "../../api/mod.ts";
import type { Core } from "../core.ts";
import { proxyAddresses } from "../heartbeats.ts";
import type { RelyingParty } from "./webauthn.ts";

/** `webauthn.rp_id` of the cluster, else the first proxy's name; `undefined` while no proxy is known. */
export async function relyingParty(core: Core): Promise<RelyingParty | undefined> {
  const addresses = await proxyAddresses(core);
  const first = addresses[0] && parseHostPort(addresses[0])?.host;
  const preference = await core.store.find("cluster_auth_preference", AUTH_PREFERENCE_NAME);
  const id = preference?.spec.webauthn?.rp_id || first;
  if (id === undefined) return undefined;
  return {
    id: id.toLowerCase(),
    name: core.authorities.cluster,
    origins: addresses.map((address) => originOf(address).toLowerCase()),
  };
}

/** The address of one of the proxy's pages. */
export async function pageUrl(core: Core, path: string): Promise<string> {
  const [address] = await proxyAddresses(core);
  return `${originOf(address ?? "PROXY_HOST:3080")}${path}`;
}

function originOf(address: string): string {
  return `https://${address.replace(/:443$/, "")}`;
}
