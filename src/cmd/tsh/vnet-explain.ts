import { ClusterDirectory } from "../../client/mod.ts";
import { type ExplainInput, type Explanation, explain, viewOf } from "../../vnet/mod.ts";
import type { Format } from "../cli/arguments.ts";
import { printAs } from "../cli/format.ts";
import { EXIT_FAILURE, ExitWith, say } from "../cli/program.ts";
import { headless } from "../cli/table.ts";
import type { Tsh } from "./session.ts";
import { runningVnets } from "./vnet-status.ts";

/** Walks the name through what the running VNet knows, or would know. Exit code 1 where it stops. */
export async function explainName(tsh: Tsh, name: string, format: Format): Promise<void> {
  const input = (await fromRunning(tsh)) ?? (await fromLogins(tsh));
  const explanation = explain(name, input);
  printAs(format, explanation, () => explanationText(explanation));
  if (!explanation.served) throw new ExitWith(EXIT_FAILURE);
}

async function fromRunning(tsh: Tsh): Promise<ExplainInput | undefined> {
  const [status] = await runningVnets(tsh);
  if (!status) return undefined;
  const addresses = new Map(status.names.map(({ host, v4, v6 }) => [host, [v4, v6]]));
  return { clusters: status.clusters.map(viewOf), addressesOf: (host) => addresses.get(host) };
}

async function fromLogins(tsh: Tsh): Promise<ExplainInput> {
  say("VNet is not running: this is what it would do.\n");
  await using directory = await ClusterDirectory.open({
    store: tsh.store,
    log: tsh.log,
    tell: (line) => say(`${line}\n`),
  });
  await directory.ready();
  for (const { profile, reason } of directory.unreachable()) say(`${profile} cannot be reached (${reason})\n`);
  return { clusters: directory.clusters() };
}

export function explanationText({ host, port, served, steps }: Explanation): string {
  const rows = steps.map(({ step, outcome, detail }) => [outcome, step, detail]);
  const target = port === undefined ? host : `${host}:${port}`;
  const verdict = served
    ? `${target} leads to the app. Whether your roles let you in and its server answers, a connection shows.\n`
    : `${target} stops there.\n`;
  return headless(rows) + verdict;
}
