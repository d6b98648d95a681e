import { messageOf } from "../../base/mod.ts";
import { failedAt, identityOfProfile } from "../../client/mod.ts";
import {
  type AppView,
  type ClusterView,
  type Directory,
  type ExplainInput,
  type Explanation,
  explain,
  type Trial,
  type VnetStatus,
  viewOf,
} from "../../vnet/mod.ts";
import type { Format } from "../cli/arguments.ts";
import { printAs } from "../cli/format.ts";
import { EXIT_FAILURE, ExitWith, say } from "../cli/program.ts";
import { headless } from "../cli/table.ts";
import { routeTo } from "./route.ts";
import type { Tsh } from "./session.ts";
import { openClusters } from "./vnet.ts";
import { runningVnets } from "./vnet-status.ts";

/** A dial is given up after so long; the agent's own patience with the app is less. */
const TRIAL_MS = 10_000;

export interface ExplainFlags {
  readonly format: Format;
  /** Whether to connect to the app, and so ask its agent and its server too. */
  readonly connect: boolean;
}

/** Walks the name through what the running VNet knows, or would know. Exit code 1 where it stops. */
export async function explainName(tsh: Tsh, name: string, flags: ExplainFlags): Promise<void> {
  const explanation = await explainWith(tsh, name, flags.connect);
  printAs(flags.format, withoutTarget(explanation), () => explanationText(explanation));
  if (!explanation.served) throw new ExitWith(EXIT_FAILURE);
}

async function explainWith(tsh: Tsh, name: string, connect: boolean): Promise<Explanation> {
  const [running] = await runningVnets(tsh);
  if (!running) say("VNet is not running: this is what it would do.\n");
  await using directory = await openClusters(tsh);
  await directory.ready();
  for (const { profile, reason } of directory.unreachable()) say(`${profile} cannot be reached (${reason})\n`);
  const rolesOf = await rolesByProfile(tsh);
  const known = running ? fromRunning(running) : { clusters: directory.clusters() };
  const input: ExplainInput = { ...known, rolesOf };
  const first = explain(name, input);
  if (!first.served || !first.target) return first;
  const { cluster, app } = first.target;
  const route = running && (await routeOf(running, first.host));
  const trial = connect && !cluster.loginExpired ? await tryApp(directory, cluster, app, first.port) : undefined;
  return explain(name, { ...input, ...(route && { route }), ...(trial && { trial }) });
}

function fromRunning(status: VnetStatus): Pick<ExplainInput, "clusters" | "addressesOf"> {
  const addresses = new Map(status.names.map(({ host, v4, v6 }) => [host, [v4, v6]]));
  return { clusters: status.clusters.map(viewOf), addressesOf: (host) => addresses.get(host) };
}

async function rolesByProfile(tsh: Tsh): Promise<NonNullable<ExplainInput["rolesOf"]>> {
  const profiles = await tsh.store.all().catch(() => []);
  const roles = new Map(profiles.map((profile) => [profile.name, identityOfProfile(profile).roles]));
  // In a leaf the roles are what it makes of these: only it knows.
  return ({ leaf, profile }) => (leaf ? undefined : roles.get(profile));
}

async function routeOf(status: VnetStatus, host: string): Promise<ExplainInput["route"]> {
  if (status.kind === "exec") return { ok: true, detail: "in the command's own network everything leads to VNet" };
  const address = status.names.find((name) => name.host === host)?.v4;
  return address === undefined ? undefined : routeTo(address, status.device.name);
}

/** Opens a connection to the app and ends it at once; without a port, to its only or first one. */
async function tryApp(directory: Directory, cluster: ClusterView, app: AppView, port = 0): Promise<Trial> {
  try {
    const stream = await directory.dial(cluster, app, port, AbortSignal.timeout(TRIAL_MS));
    stream.reset("shutdown");
    return { detail: "the app's own server accepted a connection" };
  } catch (error) {
    return { at: failedAt(error), detail: messageOf(error) };
  }
}

/** What is printed: the steps say it all. */
function withoutTarget({ target: _, ...rest }: Explanation): Omit<Explanation, "target"> {
  return rest;
}

export function explanationText({ host, port, served, steps }: Explanation): string {
  const rows = steps.map(({ step, outcome, detail }) => [outcome, step, detail]);
  const target = port === undefined ? host : `${host}:${port}`;
  const tried = steps.some(({ step }) => step === "target");
  const verdict = served
    ? `${target} leads to the app${tried ? "" : "; whether its agent and its server answer was not tried"}.\n`
    : `${target} stops there.\n`;
  return headless(rows) + verdict;
}
