/**
 * Connections that are kept open, and what becomes of each:
 *
 *     node connections.ts HOST PORT
 *
 * Each line of standard input opens one more and sends a line, which an echo
 * should send back. Prints a line of JSON for each thing that happens:
 * {"id", "event": "echo" | "end" | an error's code, "at": milliseconds since 1970, "after": milliseconds}.
 */
import { connect } from "node:net";
import { createInterface } from "node:readline";
import type { BackgroundProcess } from "../../src/testkit/mod.ts";

export interface Happening {
  readonly id: number;
  /** `echo`: open, and octets come back. Else how it ended. */
  readonly event: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Milliseconds since the attempt began. */
  readonly after: number;
}

const FILE = import.meta.filename;

/** The command for `tsh vnet exec --`. */
export function connectionsTo(host: string, port: number): string[] {
  return [process.execPath, "--disable-warning=ExperimentalWarning", FILE, host, String(port)];
}

/** What the program says of connection `id`: its first news, or the news after `echo`. */
export async function newsOf(client: BackgroundProcess, id: number, timeoutMs = 20_000): Promise<Happening> {
  const [line] = await client.waitFor(new RegExp(`^\\{"id":${id},.*$`, "m"), timeoutMs);
  return JSON.parse(line) as Happening;
}

export async function endOf(client: BackgroundProcess, id: number, timeoutMs = 20_000): Promise<Happening> {
  const [line] = await client.waitFor(new RegExp(`^\\{"id":${id},"event":"(?!echo").*$`, "m"), timeoutMs);
  return JSON.parse(line) as Happening;
}

if (import.meta.main) serve(process.argv[2] ?? "", Number(process.argv[3]));

function serve(host: string, port: number): void {
  let id = 0;
  const input = createInterface({ input: process.stdin });
  input.on("line", () => hold(++id, host, port));
  input.on("close", () => process.exit());
}

function hold(id: number, host: string, port: number): void {
  const began = Date.now();
  const tell = (event: string) => {
    const at = Date.now();
    process.stdout.write(`${JSON.stringify({ id, event, at, after: at - began })}\n`);
  };
  // One address, as most programs try it: Node's own race of families would hide what the first attempt got.
  const socket = connect({ host, port, autoSelectFamily: false }, () => socket.write("hello\n"));
  socket.once("data", () => tell("echo"));
  socket.on("error", (error: NodeJS.ErrnoException) => tell(error.code ?? error.message));
  socket.on("end", () => tell("end"));
}
