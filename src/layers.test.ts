import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import test from "node:test";
import { LAYERS, PROGRAMS, PURE, PURE_BUILTINS, TESTKIT } from "./layers.ts";

/** One import line: both paths from the project's root, `to` of a file of ours, else a module's name. */
interface Import {
  from: string;
  to: string;
  /** `import type`: gone at run time. */
  typeOnly: boolean;
}

const ROOT = join(import.meta.dirname, "..");
const FILES = globSync("{src,test,bench,scripts}/**/*.ts", { cwd: ROOT }).sort();
const IMPORTS = FILES.flatMap((from) => importsOf(from, readFileSync(join(ROOT, from), "utf8")));

test("imports are read from every form of import line", () => {
  const text = [
    'import a, { b } from "./a.ts";',
    'import "../side/effect.ts";',
    "import {\n  type C,\n  d,\n} from '../x/mod.ts';",
    'export * from "node:fs";',
    'const e = await import("./lazy.ts");',
    '// import f from "./comment.ts";',
  ].join("\n");
  assert.deepEqual(
    importsOf("src/here/file.ts", text).map((i) => i.to),
    ["src/here/a.ts", "src/side/effect.ts", "src/x/mod.ts", "node:fs", "src/here/lazy.ts"],
  );
});

test("every folder of src has its line", () => {
  const folders = new Set(FILES.filter((f) => /^src\/.*\//.test(f)).map(layerOf));
  assert.deepEqual(
    [...folders].filter((folder) => folder === undefined),
    [],
  );
});

test("a folder imports only what its line allows", () => {
  reject(
    productImports().filter(({ from, to }) => {
      const [own, other] = [layerOf(from), layerOf(to)];
      return own !== undefined && other !== undefined && own !== other && !allowed(own).has(other);
    }),
  );
});

test("other folders are imported through their mod.ts", () => {
  reject(IMPORTS.filter(({ from, to }) => isOurs(to) && leavesFolder(from, to) && !to.endsWith("/mod.ts")));
});

test("only tests and benches import the testkit, and nothing imports a test", () => {
  reject(productImports().filter(({ from, to }) => layerOf(to) === TESTKIT && layerOf(from) !== TESTKIT));
  reject(IMPORTS.filter(({ to }) => to.endsWith(".test.ts")));
});

test("pure folders perform no I/O", () => {
  reject(
    productImports().filter(
      ({ from, to, typeOnly }) =>
        PURE.includes(layerOf(from) ?? "") && !typeOnly && to.startsWith("node:") && !PURE_BUILTINS.includes(to),
    ),
  );
});

test("no file imports itself through others", () => {
  assert.deepEqual(cycles(IMPORTS), []);
});

test("a cycle is found", () => {
  const line = (from: string, to: string): Import => ({ from, to, typeOnly: false });
  const found = cycles([line("a.ts", "b.ts"), line("b.ts", "c.ts"), line("c.ts", "b.ts"), line("a.ts", "c.ts")]);
  assert.deepEqual(found, ["b.ts → c.ts → b.ts"]);
});

function importsOf(from: string, text: string): Import[] {
  const code = text.replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, "");
  const lines = code.matchAll(/^\s*(?:import|export)\b[^"';]*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm);
  return [...lines].map((match) => {
    const to = match[1] ?? match[2] ?? "";
    return {
      from,
      to: to.startsWith(".") ? normalize(join(dirname(from), to)) : to,
      typeOnly: /^\s*(?:import|export) type\b/.test(match[0]),
    };
  });
}

function productImports(): Import[] {
  return IMPORTS.filter(({ from }) => from.startsWith("src/") && !from.endsWith(".test.ts"));
}

/** The longest folder of the table that holds `file`; undefined outside of `src/` and for a folder without a line. */
function layerOf(file: string): string | undefined {
  return [...Object.keys(LAYERS), PROGRAMS, TESTKIT]
    .filter((layer) => file.startsWith(`src/${layer}/`))
    .sort((a, b) => b.length - a.length)[0];
}

function allowed(layer: string): Set<string> {
  if (layer === TESTKIT) return new Set([...Object.keys(LAYERS), PROGRAMS]);
  if (layer === PROGRAMS) return new Set(Object.keys(LAYERS));
  return new Set(["base", ...(LAYERS[layer] ?? [])]);
}

function isOurs(path: string): boolean {
  return path.startsWith("src/") && layerOf(path) !== undefined;
}

function leavesFolder(from: string, to: string): boolean {
  return layerOf(from) !== layerOf(to);
}

function reject(bad: Import[]): void {
  assert.deepEqual(
    bad.map(({ from, to }) => `${from} imports ${to}`),
    [],
  );
}

/** Each cycle once, written as its path. */
function cycles(imports: Import[]): string[] {
  const edges = Map.groupBy(imports, (i) => i.from);
  const done = new Set<string>();
  const path: string[] = [];
  const found: string[] = [];
  const visit = (file: string): void => {
    const start = path.indexOf(file);
    if (start >= 0) found.push([...path.slice(start), file].join(" → "));
    if (start >= 0 || done.has(file)) return;
    path.push(file);
    for (const { to } of edges.get(file) ?? []) visit(to);
    path.pop();
    done.add(file);
  };
  for (const file of edges.keys()) visit(file);
  return found;
}
