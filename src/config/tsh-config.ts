import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { BadInputError, checkDocument, parseYaml } from "../api/mod.ts";
import { ConfigFileError } from "./errors.ts";

/** What the user sets for `tsh` in `TELEPORT_HOME/config/config.yaml`. */
export interface TshConfig {
  /** Clusters, or profiles for all of theirs, in which VNet looks for a name before the others. */
  readonly clusterOrder: readonly string[];
}

/** A person has a few; a longer list is a mistake. */
const MAX_ORDERED_CLUSTERS = 256;

const schema = z.strictObject({
  vnet: z.strictObject({ cluster_order: z.array(z.string()).max(MAX_ORDERED_CLUSTERS).optional() }).optional(),
});

/** Without the file: the defaults. Throws `ConfigFileError`, or `BadInputError` with each problem's place. */
export async function loadTshConfig(home: string): Promise<TshConfig> {
  const path = join(home, "config", "config.yaml");
  const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return "";
    throw ConfigFileError.of("the settings of tsh", path, cause);
  });
  const [document, second] = parseYaml(text, path);
  if (second) throw BadInputError.of([{ file: path, path: "", message: "expected one YAML document" }]);
  const { vnet } = document === undefined ? {} : checkDocument(schema, document);
  return { clusterOrder: (vnet?.cluster_order ?? []).map((name) => name.toLowerCase().replace(/\.$/, "")) };
}
