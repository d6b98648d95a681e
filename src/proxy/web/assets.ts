import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The pages' own files by path: the content policy lets them load nothing else. */
export type Assets = ReadonlyMap<string, { readonly type: string; readonly text: string }>;

const FILES: readonly [path: string, file: string, type: string][] = [
  ["/web/assets/passkey.js", "passkey.js", "text/javascript; charset=utf-8"],
  ["/web/assets/site.css", "site.css", "text/css; charset=utf-8"],
];

export function loadAssets(): Assets {
  const text = (file: string) => readFileSync(join(import.meta.dirname, "assets", file), "utf8");
  return new Map(FILES.map(([path, file, type]) => [path, { type, text: text(file) }]));
}
