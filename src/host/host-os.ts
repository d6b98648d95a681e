import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { messageOf } from "../base/mod.ts";
import { COMMAND_MS, type Os, OsCommandError, type ResolvConfPaths, undoScript } from "../oscfg/mod.ts";
import { hasIpv6 } from "./ipv6.ts";
import { findProgram, systemPath } from "./programs.ts";

/** The real operating system, on which VNet's device is called `device`. */
export function hostOs(device: string, paths: ResolvConfPaths): Os {
  const ip = findProgram("ip", "");
  let ownIndex: number | undefined;
  return {
    hasIpv6,
    ip: (args) => run(ip, args),
    resolvconf: async (args, input) => run(findProgram("resolvconf", ""), args, input),
    async restoreResolvConf() {
      await run(findProgram("sh", ""), ["-c", `${undoScript({ ip, device, paths })}undo_resolv_conf`]);
    },
    async indexOf(name) {
      // Ours is made once; the others are not asked for.
      if (name === device && ownIndex !== undefined) return ownIndex;
      const index = (await links()).find((link) => link.ifname === name)?.ifindex;
      if (name === device) ownIndex = index;
      return index;
    },
    async nameOf(index) {
      return (await links()).find((link) => link.ifindex === index)?.ifname;
    },
  };

  async function links(): Promise<{ ifindex: number; ifname: string }[]> {
    return JSON.parse(await run(ip, ["-json", "link"])) as { ifindex: number; ifname: string }[];
  }
}

/** Ends within `COMMAND_MS`. @throws {OsCommandError} */
async function run(program: string, args: readonly string[], input = ""): Promise<string> {
  const child = spawn(program, args, { timeout: COMMAND_MS, cwd: "/", env: { PATH: systemPath() } });
  const ended = new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve));
  child.stdin.on("error", () => {}); // It may end without reading.
  child.stdin.end(input);
  try {
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    if (code === 0) return stdout;
    throw new OsCommandError(`${program} ${args.join(" ")}`, stderr);
  } catch (error) {
    if (error instanceof OsCommandError) throw error;
    throw new OsCommandError(`${program} ${args.join(" ")}`, messageOf(error));
  }
}
