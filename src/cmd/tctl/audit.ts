import type { Command } from "commander";
import { AUDIT_CODES, type AuditEvent, BadInputError, unknownWord } from "../../api/mod.ts";
import { sleep } from "../../base/mod.ts";
import type { RpcClient } from "../../rpc/mod.ts";
import { collectList, type Format, formatOption, parseCount, parseDuration } from "../cli/arguments.ts";
import { printAs } from "../cli/format.ts";
import { EXIT_FAILURE, ExitWith, interruption, print, UsageError } from "../cli/program.ts";
import { table } from "../cli/table.ts";
import type { Tctl } from "./tctl.ts";

/** `tail` asks for news this often. */
const TAIL_POLL_MS = 1_000;
/** Events that `tail` recognizes, so that it prints none twice. */
const MAX_TAIL_SEEN = 10_000;
const DEFAULT_SPAN_SECONDS = 24 * 3600;

interface SearchOptions {
  from?: string;
  to?: string;
  type?: string[];
  user?: string;
  limit?: number;
  format: Format;
}

export function addAuditCommands(program: Command, tctl: Tctl): void {
  const audit = program.command("audit").description("the audit log: who did what");
  audit
    .command("search")
    .description("print events, oldest first")
    .option("--from <time>", "as 2026-01-31T12:00:00Z, or a duration ago such as 2h (by default 24h)")
    .option("--to <time>", "likewise (by default now)")
    .option("--type <types>", "event types such as user.login, separated by commas", collectList)
    .option("--user <name>", "of this user")
    .option("--limit <number>", "at most so many, the latest", parseCount)
    .addOption(formatOption())
    .action((o: SearchOptions) => tctl.run((rpc) => search(rpc, o)));
  audit
    .command("tail")
    .description("print the last events and then each new one, until interrupted")
    .option("-n, --lines <number>", "how many of the last", parseCount, 10)
    .addOption(formatOption())
    .action((o: { lines: number; format: Format }) => tctl.run((rpc) => tail(rpc, o)));
  audit
    .command("verify")
    .description("check that nothing in the log was changed, removed or cut off; exit code 1 if something was")
    .addOption(formatOption())
    .action((o: { format: Format }) => tctl.run((rpc) => verify(rpc, o.format)));
}

async function search(rpc: RpcClient, o: SearchOptions): Promise<void> {
  const now = Date.now();
  const { events } = await rpc.call("audit.search", {
    from: timeOf(o.from ?? `${DEFAULT_SPAN_SECONDS}s`, now),
    ...(o.to !== undefined && { to: timeOf(o.to, now) }),
    ...(o.type && { types: o.type.map(eventType) }),
    ...(o.user !== undefined && { user: o.user }),
    ...(o.limit !== undefined && { limit: o.limit }),
  });
  printAs(o.format, events, () =>
    events.length === 0 ? "No events found\n" : table(["Time", "Code", "Event", "User", "Details"], events.map(row)),
  );
}

function eventType(word: string): string {
  if (Object.hasOwn(AUDIT_CODES, word)) return word;
  throw new UsageError(`--type: ${unknownWord("event type", word, Object.keys(AUDIT_CODES))} (docs/audit-events.md)`);
}

/** An RFC 3339 time, or how long ago. */
export function timeOf(text: string, now: number): string {
  if (/^\d+[hms]/.test(text)) return new Date(now - parseDuration(text) * 1000).toISOString();
  const time = Date.parse(text);
  if (!Number.isNaN(time)) return new Date(time).toISOString();
  throw new BadInputError(`"${text}" is no time: expected 2026-01-31T12:00:00Z, or a duration ago such as 2h`);
}

async function tail(rpc: RpcClient, o: { lines: number; format: Format }): Promise<void> {
  const stop = interruption();
  const seen = new Set<string>();
  let from = new Date(Date.now() - DEFAULT_SPAN_SECONDS * 1000).toISOString();
  let limit: { limit?: number } = { limit: o.lines };
  while (!stop.aborted) {
    const { events } = await rpc.call("audit.search", { from, ...limit });
    for (const event of events) {
      if (seen.has(event.uid)) continue;
      seen.add(event.uid);
      if (seen.size > MAX_TAIL_SEEN) seen.delete(seen.values().next().value ?? "");
      print(lineOf(event, o.format));
    }
    // An agent's event may arrive late: a minute is looked at again.
    from = new Date(Date.now() - 60_000).toISOString();
    limit = {};
    await sleep(TAIL_POLL_MS, stop).catch(() => {});
  }
}

function lineOf(event: AuditEvent, format: Format): string {
  return format === "text" ? `${row(event).filter(Boolean).join("  ")}\n` : `${JSON.stringify(event)}\n`;
}

function row(event: AuditEvent): string[] {
  const { time, code, event: type, user = "" } = event;
  const given = event as unknown as Record<string, unknown>;
  const details = ["name", "app_name", "addr.remote", "reason", "message", "error"]
    .filter((key) => given[key] !== undefined && given[key] !== "")
    .map((key) => `${key}=${String(given[key])}`);
  return [time, code, type, user, details.join(" ")];
}

async function verify(rpc: RpcClient, format: Format): Promise<void> {
  const report = await rpc.call("audit.verify", {});
  printAs(format, report, () => {
    const { records, files, checkpoints, unchained, problems } = report;
    const old = unchained > 0 ? `, ${unchained} events of before the chain` : "";
    const what = `${records} records in ${files} files, ${checkpoints} signed checkpoints${old}`;
    if (problems.length === 0) return `The audit log is intact: ${what}.\n`;
    return `The audit log is NOT intact: ${what}.\n${problems.map((problem) => `  ${problem}\n`).join("")}`;
  });
  if (report.problems.length > 0) throw new ExitWith(EXIT_FAILURE);
}
