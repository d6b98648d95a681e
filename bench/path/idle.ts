import type { Part } from "../tun/processes.ts";
import type { Samples } from "../tun/samples.ts";
import type { Memory } from "./part.ts";
import { type Path, ROLES, type Role } from "./paths.ts";

/** Of client and agent, KiB per idle stream. */
const ALLOWED_KIB = 6;
/** What is nothing: 10,000 streams may move a process by a MiB. */
const NOTHING_KIB = 0.1;

/** What `count` idle streams add to each process of a path that has just been started. */
export async function idleStreams(samples: Samples, path: Path, near: Part, count: number): Promise<void> {
  const hold = async (all: number) => {
    const each = Math.ceil(all / path.entries.length);
    for (const entry of path.entries) await near.run({ job: "hold", ...entry, count: each, spoken: true });
  };
  await hold(count / 10); // compiled, and the pools filled
  await near.run({ job: "release", ...path.cold });
  const before = await memoryOf(path);
  await hold(count);
  const after = await memoryOf(path);
  await near.run({ job: "release", ...path.cold });
  for (const role of ROLES) {
    const kib = (what: keyof Memory) => (after[role][what] - before[role][what]) / 1024 / count;
    samples.add(`${path.name} ${role} rss`, kib("rss"));
    samples.add(`${path.name} ${role} heap`, kib("heap"));
    samples.add(`${role} allowed`, role === "proxy" ? NOTHING_KIB : ALLOWED_KIB);
  }
}

async function memoryOf(path: Path): Promise<Record<Role, Memory>> {
  const ask = (role: Role) => path.parts[role]!.ask<Memory>("memory");
  return { client: await ask("client"), proxy: await ask("proxy"), agent: await ask("agent") };
}
