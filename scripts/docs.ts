/** `npm run docs`: writes the reference pages from the code. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PAGES } from "./reference.ts";

const ROOT = join(import.meta.dirname, "..");
for (const [file, render] of Object.entries(PAGES)) {
  mkdirSync(dirname(join(ROOT, file)), { recursive: true });
  writeFileSync(join(ROOT, file), await render(ROOT));
  console.log(file);
}
