import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { ClusterView } from "../api/mod.ts";
import { type Logger, messageOf } from "../base/mod.ts";
import { type Profile, type ProfileStore, replaceFile } from "./profile.ts";

const portRange = z.strictObject({ port: z.int(), endPort: z.int().exactOptional() });

const view = z.strictObject({
  cluster: z.string(),
  leaf: z.literal(true).exactOptional(),
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

const schema = z.strictObject({
  version: z.literal(2),
  /** What it was seen of: a login of another user or to another cluster sees something else. */
  user: z.string(),
  cluster: z.string(),
  views: z.array(view),
});

/** The profile's cluster and its leaves as last seen, in an earlier run perhaps; `undefined` where nothing usable is kept. */
export async function loadLastView(store: ProfileStore, profile: Profile): Promise<readonly ClusterView[] | undefined> {
  try {
    const text = await readFile(store.lastViewFile(profile), "utf8");
    const { user, cluster, views } = schema.parse(JSON.parse(text));
    if (user !== profile.user || cluster !== profile.cluster) return undefined;
    return views.map((each) => ({ profile: profile.name, ...each }));
  } catch {
    return undefined; // The next view replaces it.
  }
}

/** Keeps the views beside the profile's keys, until logout. */
export async function saveLastView(
  store: ProfileStore,
  profile: Profile,
  views: readonly ClusterView[],
  log: Logger,
): Promise<void> {
  const { user, cluster } = profile;
  const content = { version: 2, user, cluster, views: views.map(({ profile: _, loginExpired: __, ...kept }) => kept) };
  try {
    await replaceFile(store.lastViewFile(profile), JSON.stringify(content));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return; // Logged out meanwhile.
    log.warn({ profile: profile.name }, `the list of apps cannot be kept: ${messageOf(error)}`);
  }
}
