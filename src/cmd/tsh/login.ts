import { VERSION } from "../../base/mod.ts";
import {
  connectCluster,
  fetchMessageOfTheDay,
  findProxy,
  identityOfProfile,
  isExpired,
  logIn,
  type Profile,
  splitHostPort,
} from "../../client/mod.ts";
import type { Format } from "../cli/arguments.ts";
import { humanDuration, printAs } from "../cli/format.ts";
import { EXIT_FAILURE, ExitWith, interruption, say, UsageError } from "../cli/program.ts";
import { withProgress } from "../cli/progress.ts";
import { printable } from "../cli/table.ts";
import type { Tsh } from "./session.ts";

export interface LoginFlags {
  caPin?: string;
  ttl?: number;
  /** `local` or `passwordless`. */
  auth?: string;
  /** `none`: print the page's address and open nothing. */
  browser?: string;
}

export async function login(tsh: Tsh, o: LoginFlags, format: Format = "text"): Promise<void> {
  const known = await tsh.findProfile().catch(() => undefined);
  const address = tsh.options.proxy ?? known?.proxyAddress;
  if (address === undefined) {
    throw new UsageError('no proxy address: say which cluster, as in "tsh login --proxy=teleport.example.com"');
  }
  const user = tsh.options.user ?? known?.user ?? tsh.env.osUser;
  if (known !== undefined && known.user === user && !isExpired(known) && samePlace(known, address)) {
    await tsh.store.select(known.name);
    return printProfile(known, format);
  }
  if (tsh.options.insecure) say("WARNING: --insecure: nobody checks that this proxy is the one you mean.\n");
  const trust = o.caPin === undefined ? tsh.webTrust : { ...tsh.webTrust, insecure: true };
  const proxy = await withProgress(`asking ${address}`, findProxy(address, trust));
  warnOfVersion(proxy.server_version);
  sayMessage(await fetchMessageOfTheDay(proxy.address, trust));
  const profile = await logIn({
    proxy,
    who: isPasswordless(o.auth ?? tsh.env.auth)
      ? "passwordless"
      : { user, password: await tsh.prompt.hidden(`Enter password for Teleport user ${user}: `) },
    person: tsh.person(o.browser),
    signal: interruption(),
    trust: tsh.webTrust,
    caPin: o.caPin,
    ttlSeconds: o.ttl === undefined ? undefined : o.ttl * 60,
    known: known?.name === proxy.host ? known : undefined,
  });
  await tsh.store.save(profile);
  printProfile(profile, format);
}

/** Line by line, so that what is not printable stands out and does nothing. */
function sayMessage(text: string): void {
  if (text.trim() === "") return;
  say(`${text.trimEnd().split(/\r?\n/).map(printable).join("\n")}\n\n`);
}

function printProfile(profile: Profile, format: Format): void {
  printAs(format, profileJson(profile), () => profileText(profile, true));
}

function isPasswordless(auth = "local"): boolean {
  if (auth === "local" || auth === "passwordless") return auth === "passwordless";
  throw new UsageError(`--auth=${auth} is not known: say local or passwordless`);
}

function samePlace(profile: Profile, address: string): boolean {
  const { host, port } = splitHostPort(address);
  return profile.name === host && (port === undefined || splitHostPort(profile.proxyAddress).port === port);
}

function warnOfVersion(server: string): void {
  const major = (version: string) => Number.parseInt(version, 10);
  if (Math.abs(major(server) - major(VERSION)) > 1) {
    say(`WARNING: this is version ${VERSION}, the cluster's is ${server}: more than one major version apart.\n`);
  }
}

export async function logout(tsh: Tsh, format: Format): Promise<void> {
  const { proxy, user } = tsh.options;
  if ((proxy === undefined) !== (user === undefined)) {
    throw new UsageError("say both --proxy and --user, or neither to log out of everything");
  }
  const all = await tsh.store.all();
  const chosen =
    proxy === undefined ? all : all.filter((each) => each.name === splitHostPort(proxy).host && each.user === user);
  for (const profile of chosen) {
    await endSessions(tsh, profile);
    await tsh.store.remove(profile.name);
  }
  const ended = chosen.map(({ user: of, name }) => ({ user: of, proxy: name }));
  printAs(format, { logged_out: ended }, () =>
    ended.length === 0
      ? "Not logged in.\n"
      : ended.map((each) => `Logged out ${each.user} from proxy ${each.proxy}.\n`).join(""),
  );
}

/** The server's app sessions end with the login; when it cannot be told, they end by themselves. */
async function endSessions(tsh: Tsh, profile: Profile): Promise<void> {
  if (isExpired(profile)) return;
  await using rpc = connectCluster(profile, tsh.log, tsh.dialTcp);
  await rpc.call("app_session.end", {}, { timeoutMs: 3_000 }).catch(() => {
    say(`${profile.name} cannot be reached: open app sessions there end within the hour.\n`);
  });
}

export async function status(tsh: Tsh, format: Format): Promise<void> {
  const profiles = await tsh.store.all();
  const active = await tsh.findProfile();
  if (active === undefined) {
    printAs(format, { active: null, profiles: profiles.map(profileJson) }, () => "Not logged in.\n");
    throw new ExitWith(EXIT_FAILURE);
  }
  const others = profiles.filter((profile) => profile.name !== active.name);
  printAs(format, { active: profileJson(active), profiles: others.map(profileJson) }, () =>
    [profileText(active, true), ...others.map((profile) => profileText(profile, false))].join("\n"),
  );
  if (isExpired(active)) throw new ExitWith(EXIT_FAILURE);
}

function profileJson(profile: Profile) {
  const identity = identityOfProfile(profile);
  return {
    profile_url: `https://${profile.proxyAddress}`,
    username: profile.user,
    cluster: profile.cluster,
    roles: identity.roles,
    traits: identity.traits,
    logins: identity.traits.logins ?? [],
    kubernetes_enabled: false,
    valid_until: new Date(identity.expires).toISOString(),
  };
}

function profileText(profile: Profile, active: boolean): string {
  const { roles, logins, valid_until, profile_url } = profileJson(profile);
  const left = Date.parse(valid_until) - Date.now();
  const rows = [
    ["Profile URL", profile_url],
    ["Logged in as", profile.user],
    ["Cluster", profile.cluster],
    ["Roles", roles.join(", ")],
    ...(logins.length > 0 ? [["Logins", logins.join(", ")]] : []),
    ["Kubernetes", "disabled"],
    ["Valid until", `${valid_until} ${left > 0 ? `[valid for ${humanDuration(left)}]` : "[EXPIRED]"}`],
  ] as const;
  return rows
    .map(([label, value], i) => `${i === 0 && active ? "> " : "  "}${`${label}:`.padEnd(19)}${value}\n`)
    .join("");
}
