import { type Command, InvalidArgumentError } from "commander";
import type { Kind, ListFilter, ResourceOf } from "../../api/mod.ts";
import type { RpcClient } from "../../rpc/mod.ts";
import { collectList } from "./arguments.ts";

/** All resources of a kind that the caller may see, page by page. */
export async function listAll<K extends Kind>(
  rpc: RpcClient,
  kind: K,
  { labels, search, query }: ListFilter = {},
): Promise<ResourceOf<K>[]> {
  const filter = {
    ...(labels && { labels: { ...labels } }),
    ...(search && { search: [...search] }),
    ...(query !== undefined && { query }),
  };
  const all: ResourceOf<K>[] = [];
  for (let start: string | undefined; ; ) {
    const page = await rpc.call("resource.list", { kind, ...(start !== undefined && { start }), ...filter });
    all.push(...(page.resources as ResourceOf<K>[]));
    if (page.next === undefined) return all;
    start = page.next;
  }
}

/** The options of every command that lists resources, and its labels as an argument where it takes them. */
export function addFilters(command: Command, o: { labels: "argument" | "option" }): Command {
  const text = "labels that must have these values, as env=prod,team=red";
  if (o.labels === "argument") command.argument("[labels]", text, parseLabels);
  else command.option("--labels <labels>", text, parseLabels);
  return command
    .option("--search <words>", "words that must occur, separated by commas", collectList)
    .option("--query <expression>", 'a condition, as labels["env"] == "prod" && hasPrefix(name, "db")');
}

/** `env=prod,team=red`. */
export function parseLabels(text: string): Record<string, string> {
  const pairs = collectList(text, undefined).map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) throw new InvalidArgumentError('expected labels as in "env=prod,team=red"');
    return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()] as const;
  });
  return Object.fromEntries(pairs);
}
