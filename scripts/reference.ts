/**
 * The reference pages that are written from the code, so that they cannot
 * differ from it: `docs/errors.md` from the error classes, `docs/limits.md`
 * from the `limits.ts` files. `scripts/docs.ts` writes them, `test/tidy.test.ts`
 * compares.
 */
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { API_PAGES } from "./api-pages.ts";
import { auditPage } from "./audit-page.ts";

export const PAGES: Readonly<Record<string, (root: string) => Promise<string>>> = {
  "docs/errors.md": errorsPage,
  "docs/limits.md": limitsPage,
  "docs/audit-events.md": auditPage,
  ...API_PAGES,
};

interface ErrorClass {
  code: string;
  className: string;
  meaning: string;
  retryable: "yes" | "no" | "it says";
}

interface Limit {
  name: string;
  value: unknown;
  reason: string;
}

async function errorsPage(root: string): Promise<string> {
  const files = globSync("src/**/*.ts", { cwd: root })
    .filter((file) => !file.endsWith(".test.ts"))
    .sort();
  const byFolder = files.flatMap((file) => {
    const classes = errorClasses(readFileSync(join(root, file), "utf8"));
    return classes.length === 0 ? [] : [{ folder: folderOf(file), rows: classes }];
  });
  const sections = byFolder.map(
    ({ folder, rows }) =>
      `## ${folder}\n\n| code | class | meaning | may succeed later |\n|---|---|---|---|\n${rows
        .map((row) => `| \`${row.code}\` | ${row.className} | ${row.meaning} | ${row.retryable} |\n`)
        .join("")}`,
  );
  return `# Errors

Written by \`npm run docs\` from the error classes.

What can go wrong in a correct program has a class with a literal \`code\`; its message says what failed and what to
try. Programs print it as \`ERROR: …\` on standard error (\`--debug\` adds where it came from).

Exit codes of \`teleport\`, \`tsh\` and \`tctl\`: 0 done, 1 failed, 2 the command line cannot be meant. \`tsh vnet exec\`
passes on the code of the command that it ran.

${sections.join("\n")}`;
}

async function limitsPage(root: string): Promise<string> {
  const files = globSync("src/**/limits.ts", { cwd: root }).sort();
  const sections = await Promise.all(
    files.map(async (file) => {
      const rows = await limitsOf(join(root, file));
      const lines = rows.map(({ name, value, reason }) => `| \`${name}\` | ${shown(name, value)} | ${reason} |\n`);
      return `## ${folderOf(file)}\n\n| limit | value | what and why |\n|---|---|---|\n${lines.join("")}`;
    }),
  );
  return `# Limits

Written by \`npm run docs\` from the \`limits.ts\` files.

Every queue, table, loop and wait has a named maximum. What is beyond it is refused, dropped or made to wait, and
counted, never kept.

${sections.join("\n")}`;
}

/** Classes with a literal `code`, with their doc comment. */
export function errorClasses(text: string): ErrorClass[] {
  const starts = [...text.matchAll(/^(\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?export class (\w+) extends \w+/gm)];
  return starts.flatMap((match, i) => {
    const body = text.slice(match.index + match[0].length, starts[i + 1]?.index);
    const code = /\breadonly code(?:: [^=]+)? = "([^"]+)"/.exec(body)?.[1];
    if (code === undefined) return [];
    const className = match[2] ?? "";
    return [{ code, className, meaning: plain(match[1]) || words(className), retryable: retryable(body) }];
  });
}

async function limitsOf(file: string): Promise<Limit[]> {
  const values = (await import(file)) as Record<string, unknown>;
  const text = readFileSync(file, "utf8");
  const declarations = text.matchAll(
    /((?:\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n|\/\/.*\n)*)export const ([A-Z][A-Z0-9_]+)\b/g,
  );
  let reason = "";
  return [...declarations].map((match) => {
    const name = match[2] ?? "";
    // A constant right below another shares its comment.
    reason = plain(match[1]) || reason;
    return { name, value: values[name], reason };
  });
}

function retryable(body: string): ErrorClass["retryable"] {
  if (/\breadonly retryable(?:: boolean)? = true/.test(body)) return "yes";
  return /\breadonly retryable: boolean;/.test(body) ? "it says" : "no";
}

/** A comment's text on one line, as a table's cell wants it. */
function plain(comment: string | undefined): string {
  const lines = (comment ?? "").split("\n").map((line) => line.replace(/^\s*(?:\/\*\*|\*\/|\*|\/\/)?\s?/, ""));
  return lines
    .join(" ")
    .replace(/\*\/\s*$/, "")
    .replaceAll(/\s+/g, " ")
    .replaceAll("|", "\\|")
    .trim();
}

/** `ProxyGoneError` in words. */
function words(className: string): string {
  const text = className.replace(/Error$/, "").replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ");
  return text.charAt(0) + text.slice(1).toLowerCase();
}

function shown(name: string, value: unknown): string {
  if (typeof value !== "number") return `\`${JSON.stringify(value)}\``;
  const unit = /_MS$/.test(name) ? " ms" : "";
  return `${value.toLocaleString("en-US")}${unit}`;
}

function folderOf(file: string): string {
  return dirname(file).replace(/^src\//, "");
}
