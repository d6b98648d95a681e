import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { messageOf } from "../../base/mod.ts";
import type { Finding } from "../../vnet/mod.ts";

/** iproute2's answer comes at once; a machine under load needs a moment. */
const ROUTE_MS = 2_000;

/** Whether the kernel sends this user's packets for the address to the device. */
export async function routeTo(address: string, device: string): Promise<Finding> {
  try {
    const args = ["-j", "route", "get", address, "uid", String(process.getuid?.() ?? 0)];
    const { stdout } = await promisify(execFile)("ip", args, { timeout: ROUTE_MS });
    const [route] = JSON.parse(stdout) as { dev?: string; type?: string }[];
    if (route?.dev === device) return { ok: true, detail: `the kernel sends ${address} to ${device}` };
    const elsewhere = route?.dev ?? route?.type ?? "nowhere";
    const advice = "another program has this range: see tsh vnet diag, or choose one with --ipv4-cidr";
    return { ok: false, detail: `the kernel sends ${address} to ${elsewhere}, not to ${device}: ${advice}` };
  } catch (error) {
    const refused = /prohibit|Permission denied|unreachable/i.test(messageOf(error));
    const why = refused
      ? "packets of this user are refused: only who started VNet, and root, may use it (--all-users lets all)"
      : `the kernel's route to ${address} could not be asked (${messageOf(error).split("\n", 1)[0]})`;
    return { ok: false, detail: why };
  }
}
