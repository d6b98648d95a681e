import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { formatIp } from "../base/mod.ts";
import { MAX_SEARCHED_PROCESSES } from "./limits.ts";

/** Whose connection it is. */
export interface ClientProgram {
  readonly pid: number;
  /** Of its file; the kernel's own name for it where that is not to be seen. */
  readonly name: string;
}

export interface ClientProgramsOptions {
  /** A process in the network namespace of the connections; this one's own without it. */
  readonly netOf?: number;
  /** Replaces `/proc` in tests. */
  readonly proc?: string;
}

/**
 * The programs that hold the local ends `ends` (`100.64.0.1:40000`,
 * `[fd00::1]:40000`) of TCP connections: the kernel's table gives each end's
 * socket, and the descriptors of processes who has it. Only those of one's own
 * processes can be read, or all by root; other ends are missing from the answer.
 */
export function clientPrograms(
  ends: ReadonlySet<string>,
  { netOf, proc = "/proc" }: ClientProgramsOptions = {},
): Map<string, ClientProgram> {
  const found = new Map<string, ClientProgram>();
  if (ends.size === 0) return found;
  const net = `${proc}/${netOf ?? "self"}/net`;
  const endOf = new Map<string, string>();
  for (const table of ["tcp", "tcp6"]) {
    for (const { end, inode } of socketsIn(textAt(`${net}/${table}`))) if (ends.has(end)) endOf.set(inode, end);
  }
  const pids = entries(proc).filter((entry) => /^\d+$/.test(entry));
  for (const pid of pids.slice(0, MAX_SEARCHED_PROCESSES)) {
    if (found.size === endOf.size) break;
    for (const descriptor of entries(`${proc}/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkAt(`${proc}/${pid}/fd/${descriptor}`))?.[1];
      const end = inode === undefined ? undefined : endOf.get(inode);
      if (end !== undefined) found.set(end, { pid: Number(pid), name: nameOf(`${proc}/${pid}`) });
    }
  }
  return found;
}

function nameOf(process: string): string {
  return basename(linkAt(`${process}/exe`)) || textAt(`${process}/comm`).trim();
}

/** Lines of `/proc/net/tcp` and `tcp6` (proc_pid_net(5)): local address and port, and the socket's inode. */
function socketsIn(table: string): { end: string; inode: string }[] {
  const lines = table.split("\n").slice(1);
  return lines.flatMap((line) => {
    const [, local = "", , , , , , , , inode = "0"] = line.trim().split(/\s+/);
    const end = endOf(local);
    return end === undefined || inode === "0" ? [] : [{ end, inode }];
  });
}

/** `0100007F:1F90` is 127.0.0.1:8080: words of four octets, each in the machine's order, little-endian here. */
function endOf(text: string): string | undefined {
  const [, digits = "", port = ""] = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(text) ?? [];
  if (digits === "") return undefined;
  const octets = Uint8Array.from(digits.match(/../g)!, (pair) => Number.parseInt(pair, 16));
  for (let at = 0; at < octets.length; at += 4) octets.subarray(at, at + 4).reverse();
  const mapped = octets.length === 16 && octets.subarray(0, 10).every((octet) => octet === 0) && octets[10] === 0xff;
  const address = mapped ? octets.subarray(12) : octets; // IPv4 over an IPv6 socket
  const host = formatIp(address);
  return `${address.length === 4 ? host : `[${host}]`}:${Number.parseInt(port, 16)}`;
}

// Processes come and go, and those of others are closed to us: what cannot be read is passed over.

function textAt(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function linkAt(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
