import type { Kind, Resource } from "../../api/mod.ts";
import type { RpcClient } from "../../rpc/mod.ts";

/** All resources of a kind that the caller may see, page by page. */
export async function listAll(rpc: RpcClient, kind: Kind): Promise<Resource[]> {
  const all: Resource[] = [];
  for (let start: string | undefined; ; ) {
    const page = await rpc.call("resource.list", { kind, ...(start !== undefined && { start }) });
    all.push(...page.resources);
    if (page.next === undefined) return all;
    start = page.next;
  }
}
