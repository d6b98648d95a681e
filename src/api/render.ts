import { stringify } from "yaml";
import type { Resource } from "./resource.ts";

/** `tctl get`: keys in alphabetical order as Teleport prints them, documents apart by `---`. */
export function renderYaml(resources: readonly Resource[]): string {
  return resources.map((resource) => yamlText(resource)).join("---\n");
}

/** Any plain data as YAML, for `--format=yaml`. */
export function yamlText(value: unknown): string {
  return stringify(withoutUndefined(value), { sortMapEntries: true, lineWidth: 0, aliasDuplicateObjects: false });
}

/** `tctl get --format=json`: always a list, also of one. */
export function renderJson(resources: readonly Resource[]): string {
  return `${JSON.stringify(resources, undefined, 4)}\n`;
}

function withoutUndefined(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null));
}
