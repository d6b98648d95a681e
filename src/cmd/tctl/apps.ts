import type { Command } from "commander";
import type { ListFilter } from "../../api/mod.ts";
import { addFilters, type Format, formatOption } from "../cli/arguments.ts";
import { labelsText, printAs } from "../cli/format.ts";
import { listAll } from "../cli/list-all.ts";
import { print } from "../cli/program.ts";
import { table } from "../cli/table.ts";
import type { Tctl } from "./tctl.ts";

export function addAppCommands(program: Command, tctl: Tctl): void {
  const apps = program.command("apps").description("applications that agents serve");
  const ls = apps.command("ls").description("list applications, one row for each agent that serves one");
  addFilters(ls, { labels: "argument" })
    .addOption(formatOption())
    .action((labels: ListFilter["labels"], o: { format: Format; search?: string[]; query?: string }) =>
      tctl.run(async (rpc) => {
        const servers = await listAll(rpc, "app_server", { labels, search: o.search, query: o.query });
        if (servers.length === 0 && o.format === "text") return print("No applications found\n");
        printAs(o.format, servers, () =>
          table(
            ["Host", "Name", "Public Address", "URI", "Health", "Labels", "Version"],
            servers.map(({ spec, status }) => [
              spec.hostname,
              spec.app.metadata.name,
              spec.app.spec.public_addr ?? "",
              spec.app.spec.uri,
              status?.target_health?.status ?? "unknown",
              labelsText(spec.app.metadata.labels),
              spec.version,
            ]),
          ),
        );
      }),
    );
}
