import type { Command } from "commander";
import type { RpcClient } from "../../rpc/mod.ts";
import { type Format, formatOption } from "../cli/arguments.ts";
import { printAs } from "../cli/format.ts";
import { headless } from "../cli/table.ts";
import { rotationText } from "./rotate.ts";
import type { Tctl } from "./tctl.ts";

export function addStatusCommand(program: Command, tctl: Tctl): void {
  program
    .command("status")
    .description("print the cluster's name, version and CA pin")
    .addOption(formatOption())
    .action((o: { format: Format }) => tctl.run((rpc) => status(rpc, o.format)));
}

async function status(rpc: RpcClient, format: Format): Promise<void> {
  const answer = await rpc.call("cluster.status", {});
  printAs(format, answer, () =>
    headless([
      ["Cluster", answer.cluster_name],
      ["Version", answer.version],
      // One row for each key that is trusted now: two while the host CA rotates.
      ...answer.ca_pins.map((pin) => ["CA pin", pin]),
      ...answer.authorities.flatMap(({ type, not_after, rotation, behind = [] }) => [
        [`${type} CA`, `${rotationText(rotation)}, valid until ${not_after}`],
        ...behind.map((hostId) => ["not renewed", hostId]),
      ]),
    ]),
  );
}
