import { type Command, Option } from "commander";
import { type CaRotation, ROTATION_PHASES, type RotationPhase } from "../../api/mod.ts";
import type { RpcClient } from "../../rpc/mod.ts";
import { type Format, formatOption, parseDuration } from "../cli/arguments.ts";
import { printAs } from "../cli/format.ts";
import { say, UsageError } from "../cli/program.ts";
import { addSignCommand } from "./sign.ts";
import type { Tctl } from "./tctl.ts";

interface RotateOptions {
  type: "host" | "user";
  manual?: boolean;
  phase?: RotationPhase;
  gracePeriod?: number;
  format: Format;
}

export function addAuthCommands(program: Command, tctl: Tctl): void {
  const auth = program.command("auth").description("certificates and authorities of the cluster");
  addSignCommand(auth, tctl);
  auth
    .command("rotate")
    .description("replace the key of an authority, in phases; hosts follow by themselves, users log in again in time")
    .addOption(
      new Option("--type <type>", "host: of Auth, proxies and agents; user: of users")
        .choices(["host", "user"])
        .makeOptionMandatory(),
    )
    .option("--manual", "no phase begins by itself")
    .addOption(new Option("--phase <phase>", "the phase to come to, with --manual").choices(ROTATION_PHASES))
    .option("--grace-period <duration>", "how long the rotation takes by itself (by default 30h)", parseDuration)
    .addOption(formatOption())
    .action((o: RotateOptions) => tctl.run((rpc) => rotate(rpc, o)));
}

async function rotate(rpc: RpcClient, o: RotateOptions): Promise<void> {
  const { phase, begins } = checkedStep(o);
  const answer = await rpc.call("authority.rotate", {
    type: o.type,
    phase,
    mode: o.manual ? "manual" : "auto",
    ...(o.gracePeriod !== undefined && { grace_seconds: o.gracePeriod }),
  });
  printAs(o.format, answer, () =>
    begins && !o.manual
      ? 'Initiated certificate authority rotation. To check status use "tctl status"\n'
      : `Updated rotation phase to "${answer.phase}". To check status use "tctl status"\n`,
  );
  say(ADVICE[answer.phase]);
}

/** What the command line means, or what is wrong with it. */
export function checkedStep(o: Omit<RotateOptions, "format">): { phase: RotationPhase; begins: boolean } {
  if (o.manual && o.phase === undefined) throw new UsageError("--manual needs --phase=init (or another phase)");
  if (!o.manual && o.phase !== undefined && o.phase !== "rollback") {
    throw new UsageError("--phase is for --manual; without it every phase begins by itself");
  }
  if (o.gracePeriod !== undefined && (o.manual || o.phase !== undefined)) {
    throw new UsageError("--grace-period is for a rotation that goes by itself");
  }
  const phase = o.phase ?? "init";
  return { phase, begins: phase === "init" };
}

/** What to look at before the next phase. */
const ADVICE: Readonly<Record<RotationPhase, string>> = {
  standby: "The rotation is over: one key is trusted.\n",
  init: "Both keys are trusted; the former one signs. Next: update_clients\n",
  update_clients: "The new key signs. Users who log in now get its certificates. Next: update_servers\n",
  update_servers: "Hosts renew their certificates now. Next, when all have and users have logged in again: standby\n",
  rollback: "The former key signs again, and hosts go back to it. Next: standby\n",
};

const DESCRIPTIONS: Readonly<Record<RotationPhase, string>> = {
  standby: "on standby",
  init: "initialized",
  update_clients: "rotating clients",
  update_servers: "rotating servers",
  rollback: "rolling back",
};

/** As `tctl status` shows it, in Teleport's words. */
export function rotationText(rotation: CaRotation | undefined): string {
  if (rotation === undefined) return "never updated";
  const { state, phase, mode, started, schedule, last_rotated } = rotation;
  if (state === "standby") return last_rotated === undefined ? "never updated" : `rotated ${last_rotated}`;
  const ends = schedule?.standby === undefined ? "" : `, ending: ${schedule.standby}`;
  return `${DESCRIPTIONS[phase]} (mode: ${mode}, started: ${started}${ends})`;
}
