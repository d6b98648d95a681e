import type { Kind, ListFilter, ResourceOf } from "../../api/mod.ts";
import type { RpcClient } from "../../rpc/mod.ts";

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
