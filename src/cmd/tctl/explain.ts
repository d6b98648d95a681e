import type { Command } from "commander";
import { type Explanation, explain, KIND_DESCRIPTIONS } from "../../api/mod.ts";
import { type Format, formatOption } from "../cli/arguments.ts";
import { printAs } from "../cli/format.ts";
import { headless, table } from "../cli/table.ts";

/** Reads nothing but the schemas that this program was built with: no cluster is asked. */
export function addExplainCommand(program: Command): void {
  program
    .command("explain")
    .description("print what a kind of resource, or one of its fields, is; without a word, the kinds there are")
    .argument("[path]", "KIND or KIND.PATH, as role.spec.allow.app_labels")
    .addOption(formatOption())
    .action((path: string | undefined, o: { format: Format }) => {
      if (path === undefined) return printAs(o.format, KIND_DESCRIPTIONS, kindsText);
      const explained = explain(path);
      printAs(o.format, explained, () => explanationText(explained));
    });
}

function kindsText(): string {
  return table(["Kind", "What it is"], Object.entries(KIND_DESCRIPTIONS));
}

export function explanationText({ path, type, description, fields }: Explanation): string {
  const head = headless([["FIELD", path], ["TYPE", type], ...(description === "" ? [] : [["WHAT", description]])]);
  if (fields.length === 0) return head;
  const rows = fields.map((field) => [
    field.name + (field.required ? " (required)" : ""),
    field.type,
    field.description,
  ]);
  return `${head}\n${table(["Field", "Type", "What it is"], rows)}`;
}
