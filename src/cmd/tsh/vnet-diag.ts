import { execFile } from "node:child_process";
import { lookup } from "node:dns/promises";
import { promisify } from "node:util";
import { systemClock, systemRandom } from "../../base/mod.ts";
import { lookupAt } from "../../dns/mod.ts";
import { type DiagFinding, type DiagTools, diagnose, type VnetStatus } from "../../vnet/mod.ts";
import type { Format } from "../cli/arguments.ts";
import { printAs } from "../cli/format.ts";
import { EXIT_FAILURE, ExitWith } from "../cli/program.ts";
import { headless } from "../cli/table.ts";
import { routeTo } from "./route.ts";
import type { Tsh } from "./session.ts";
import { connectionsText, requireRunning } from "./vnet-status.ts";

/** VNet's own server answers at once, through the kernel and back. */
const SERVER_MS = 2_000;
/** This machine's resolver has its own patience, often 5 s for each server. */
const RESOLVER_MS = 6_000;
const IP_MS = 2_000;

export interface Diagnosis {
  readonly created: string;
  readonly vnet: VnetStatus;
  readonly findings: readonly DiagFinding[];
}

/** Looks at each running VNet of the user. Exit code 1 where something is wrong. */
export async function printDiagnosis(tsh: Tsh, format: Format): Promise<void> {
  const running = await requireRunning(tsh);
  const diagnoses = await Promise.all(running.map(diagnosisOf));
  printAs(format, { diagnoses }, () => diagnoses.map(diagnosisText).join("\n"));
  if (diagnoses.some(({ findings }) => findings.some(({ ok }) => !ok))) throw new ExitWith(EXIT_FAILURE);
}

async function diagnosisOf(vnet: VnetStatus): Promise<Diagnosis> {
  return { created: new Date().toISOString(), vnet, findings: await diagnose(vnet, TOOLS) };
}

export function diagnosisText({ vnet, findings }: Diagnosis): string {
  const what = vnet.kind === "host" ? "VNet of this machine" : `VNet for "${vnet.command?.join(" ") ?? ""}"`;
  const rows = findings.map(({ check, subject, ok, detail }) => [ok ? "ok" : "WRONG", check, subject, detail]);
  const wrong = findings.filter(({ ok }) => !ok);
  const advice = wrong.flatMap(({ check, subject, advice: what }) => (what ? [`${check} ${subject}: ${what}\n`] : []));
  const verdict =
    wrong.length === 0 ? ["Nothing is wrong.\n"] : ["What to do:\n", ...advice.map((line) => `  ${line}`)];
  return [
    `${what}, pid ${vnet.pid}\n`,
    headless(rows),
    "",
    ...verdict,
    ...connectionsText(vnet).map((t) => `\n${t}`),
  ].join("");
}

const TOOLS: DiagTools = {
  random: systemRandom,
  routeTo,
  device,
  lookupAt: (server, name, family, transport) =>
    lookupAt(server, name, family, transport, { clock: systemClock, random: systemRandom, timeoutMs: SERVER_MS }),
  lookup: async (name, family) => {
    const late = new Promise<never>((_, reject) => {
      systemClock.after(RESOLVER_MS, () => reject(new Error(`no answer within ${RESOLVER_MS / 1000} s`)));
    });
    const found = lookup(name, { all: true, family }).catch((error: NodeJS.ErrnoException) => {
      // EAI_AGAIN: its servers do not answer, which is not the same as no such name.
      if (error.code === "EAI_AGAIN") throw new Error("this machine's resolver gets no answer from its servers");
      return [];
    });
    return (await Promise.race([found, late])).map(({ address }) => address);
  },
};

interface IpAddressShow {
  flags?: string[];
  addr_info?: { local?: string }[];
}

async function device(name: string): ReturnType<DiagTools["device"]> {
  try {
    const { stdout } = await promisify(execFile)("ip", ["-j", "address", "show", "dev", name], { timeout: IP_MS });
    const [shown] = (JSON.parse(stdout) as IpAddressShow[]).filter(({ flags }) => flags);
    if (!shown) return undefined;
    const addresses = (shown.addr_info ?? []).flatMap(({ local }) => (local === undefined ? [] : [local]));
    return { up: shown.flags?.includes("UP") === true, addresses };
  } catch {
    return undefined; // "Device does not exist."
  }
}
