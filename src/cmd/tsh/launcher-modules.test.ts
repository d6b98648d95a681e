import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const manifest = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
  dependencies: Record<string, string>;
};

/** Loads the modules given, and prints the address of each module that this loads. Nothing of them is run. */
const LISTER = `
  import { registerHooks } from "node:module";
  const seen = new Set();
  registerHooks({ load(url, context, next) { seen.add(url); return next(url, context); } });
  for (const url of process.argv.slice(1)) await import(url);
  console.log(JSON.stringify([...seen]));`;

function loadedBy(...files: string[]): string[] {
  const urls = files.map((file) => new URL(file, import.meta.url).href);
  const node = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", LISTER, "--", ...urls];
  const all = JSON.parse(execFileSync(process.execPath, node, { encoding: "utf8" })) as string[];
  const root = new URL("../../../", import.meta.url).href;
  return all.filter((url) => url.startsWith(root)).map((url) => url.slice(root.length));
}

const layersOf = (files: readonly string[]) =>
  [...new Set(files.flatMap((file) => /^src\/([^/]+)\//.exec(file)?.[1] ?? []))].sort();
const packagesOf = (files: readonly string[]) =>
  [...new Set(files.flatMap((file) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []))].sort();

// DESIGN, section 4: what runs as root loads no certificate, link or schema code.
test("the root launcher of tsh vnet loads nothing that parses what others send", () => {
  const files = loadedBy("./commands.ts", "../cli/program.ts", "./vnet-launcher.ts");
  assert.deepEqual(layersOf(files), ["base", "cmd", "host", "oscfg", "tun"]);
  // No zod, no yaml, no x509.
  assert.deepEqual(
    packagesOf(files).filter((name) => name in manifest.dependencies),
    ["commander", "ipaddr.js", "pino"],
  );
  assert.deepEqual(
    files.filter((file) => file.startsWith("src/cmd/")).sort(),
    ["arguments", "program"]
      .map((name) => `src/cmd/cli/${name}.ts`)
      .concat("src/cmd/tsh/commands.ts", "src/cmd/tsh/vnet-launcher.ts"),
  );
});

test("tsh.ts itself imports no more than that", () => {
  const file = fileURLToPath(new URL("../tsh.ts", import.meta.url));
  // Importing it would run it: `tsh version` does too, and loads no more than its static imports.
  const hook = `data:text/javascript,${encodeURIComponent(
    `import { registerHooks } from "node:module";
     registerHooks({ load(url, context, next) { process.stderr.write(url + "\\n"); return next(url, context); } });`,
  )}`;
  const run = `${process.execPath} --disable-warning=ExperimentalWarning --import '${hook}' ${file} version 2>&1 >&-`;
  const loaded = execFileSync("sh", ["-c", run], { encoding: "utf8" }).split("\n");
  const layers = layersOf(loaded.map((url) => url.slice(url.indexOf("/src/") + 1)));
  assert.deepEqual(layers, ["base", "cmd"]);
});
