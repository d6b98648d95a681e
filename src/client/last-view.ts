import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { ClusterView } from "../api/mod.ts";
import { type Logger, messageOf } from "../base/mod.ts";
import { type Profile, type ProfileStore, replaceFile } from "./profile.ts";

const portRange = z.strictObject({ port: z.int(), endPort: z.int().exactOptional() });

const schema = z.strictObject({
  version: z.literal(1),
  /** What it was seen of: a login of another user or to another cluster sees something else. */
  user: z.string(),
  cluster: z.string(),
  proxyHosts: z.array(z.string()),
  zones: z.array(z.string()),
  ipv4Cidr: z.string(),
  apps: z.array(
    z.strictObject({
      name: z.string(),
      publicAddr: z.string(),
      protocol: z.enum(["tcp", "http"]),
      tcpPorts: z.array(portRange),
    }),
  ),
});

/** What was last seen of the profile's cluster, in an earlier run perhaps; `undefined` where nothing usable is kept. */
export async function loadLastView(store: ProfileStore, profile: Profile): Promise<ClusterView | undefined> {
  try {
    const text = await readFile(store.lastViewFile(profile), "utf8");
    const { version: _, user, ...view } = schema.parse(JSON.parse(text));
    if (user !== profile.user || view.cluster !== profile.cluster) return undefined;
    return { profile: profile.name, ...view };
  } catch {
    return undefined; // The next view replaces it.
  }
}

/** Keeps the view beside the profile's keys, until logout. */
export async function saveLastView(
  store: ProfileStore,
  profile: Profile,
  view: ClusterView,
  log: Logger,
): Promise<void> {
  const { proxyHosts, zones, ipv4Cidr, apps } = view;
  const content = { version: 1, user: profile.user, cluster: profile.cluster, proxyHosts, zones, ipv4Cidr, apps };
  try {
    await replaceFile(store.lastViewFile(profile), JSON.stringify(content));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return; // Logged out meanwhile.
    log.warn({ profile: profile.name }, `the list of apps cannot be kept: ${messageOf(error)}`);
  }
}
