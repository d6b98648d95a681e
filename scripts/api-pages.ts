/** The pages of `docs/api`, written from the schemas: what the API takes, for people and for programs. */
import {
  CREATABLE_KINDS,
  explain,
  type FieldExplanation,
  KIND_DESCRIPTIONS,
  KINDS,
  type Kind,
  openApi,
  resourcesJsonSchema,
} from "../src/api/mod.ts";

export const API_PAGES: Readonly<Record<string, () => Promise<string>>> = {
  "docs/api/openapi.json": async () => json(openApi()),
  "docs/api/resources.schema.json": async () => json(resourcesJsonSchema()),
  "docs/api/resources.md": async () => resourcesPage(),
};

function json(value: object): string {
  return `${JSON.stringify(value, null, 1)}\n`;
}

function resourcesPage(): string {
  const sections = KINDS.map((kind) => {
    const written = CREATABLE_KINDS.includes(kind) ? "" : " Not written by hand.";
    const rows = fieldsBelow(kind, "").map(
      ({ path, field }) =>
        `| \`${path}\`${field.required ? " *" : ""} | ${cell(field.type)} | ${cell(field.description)} |\n`,
    );
    return `## ${kind}\n\n${KIND_DESCRIPTIONS[kind]}${written}\n\n| field | type | what it is |\n|---|---|---|\n${rows.join("")}`;
  });
  return `# Resources

Written by \`npm run docs\` from the schemas. The same for programs: [resources.schema.json](resources.schema.json) (JSON
Schema, for editors of YAML too) and [openapi.json](openapi.json) (every call of the API). On a terminal: \`tctl explain\`.
A star marks what is required. \`kind\`, \`version\` and most of \`metadata\` are the same everywhere and shown once.

${sections.join("\n")}`;
}

/** Fields that every kind has, and of other parts of Teleport, would fill the page. */
const HIDDEN = /^(kind|version|metadata\.(description|labels|expires|revision|namespace|id))$/;
const NOT_HERE = /kept, without effect\.$/;

function fieldsBelow(kind: Kind, path: string): { path: string; field: FieldExplanation }[] {
  const { fields } = explain(path === "" ? kind : `${kind}.${path}`);
  return fields.flatMap((field) => {
    const below = path === "" ? field.name : `${path}.${field.name}`;
    if (kind !== "vnet_config" && HIDDEN.test(below)) return [];
    if (NOT_HERE.test(field.description)) return [];
    // An announcement holds the whole app, which has a section of its own.
    const deeper = below === "spec.app" && kind === "app_server" ? [] : fieldsBelow(kind, below);
    return field.description === "" ? deeper : [{ path: below, field }, ...deeper];
  });
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
