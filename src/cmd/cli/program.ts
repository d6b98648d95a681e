import { constants } from "node:os";
import { Argument, Command, CommanderError, Option } from "commander";
import { AssertionFailed, messageOf, OperationError, VERSION } from "../../base/mod.ts";
import { COMPLETE, type Format, formatOption, SHELLS } from "./arguments.ts";
import type { KnownWords } from "./completion.ts";

/** Exit codes of all three programs (`docs/errors.md`). */
export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;

/** A command's own exit code, such as that of the program `tsh vnet exec` ran. */
export class ExitWith extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** What the user typed cannot be meant. */
export class UsageError extends OperationError {
  readonly code = "cmd.usage";
}

export function newProgram(name: string, description: string): Command {
  const program = new Command(name)
    .description(description)
    .addOption(new Option("-d, --debug", "say more on standard error").env("TELEPORT_DEBUG"))
    .showSuggestionAfterError();
  program
    .command("version")
    .description("print the version")
    .addOption(formatOption())
    .action((o: { format: Format }) => print(versionText(o.format)));
  program
    .command("completion")
    .description(`print a script that completes words: source <(${name} completion bash)`)
    .addArgument(new Argument("<shell>").choices(SHELLS))
    .action(async (shell: (typeof SHELLS)[number]) => {
      const { scriptFor } = await import("./completion-scripts.ts");
      print(scriptFor(shell, name));
    });
  return program;
}

function versionText(format: Format): string {
  switch (format) {
    case "text":
      return `Teleport v${VERSION}\n`;
    case "json":
      return `${JSON.stringify({ version: VERSION }, null, 2)}\n`;
    case "yaml":
      return `version: ${VERSION}\n`;
  }
}

/** Runs the program and ends the process with the code that its outcome deserves. `known`: words for completion. */
export async function runProgram(
  program: Command,
  argv: readonly string[] = process.argv,
  known: KnownWords = {},
): Promise<void> {
  prepare(program, program.name());
  if (argv[2] === COMPLETE) await printCandidates(program, argv.slice(3), known);
  else process.exitCode = await outcome(program, argv);
  // Whatever is still open (an idle connection kept for reuse) must not hold the terminal.
  await Promise.all([drain(process.stdout), drain(process.stderr)]);
  process.exit();
}

async function printCandidates(program: Command, words: readonly string[], known: KnownWords): Promise<void> {
  const { candidatesText, complete } = await import("./completion.ts");
  print(candidatesText(complete(program, words, known)));
}

async function outcome(program: Command, argv: readonly string[]): Promise<number> {
  try {
    await program.parseAsync(argv);
    return 0;
  } catch (error) {
    if (error instanceof ExitWith) return error.exitCode;
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    const debug = program.opts<{ debug?: boolean }>().debug === true;
    say(`ERROR: ${messageOf(error)}\n`);
    if (debug || !(error instanceof OperationError) || error instanceof AssertionFailed) {
      if (error instanceof Error) say(`${describe(error)}\n`);
    }
    return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILURE;
  }
}

function describe(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by: ${describe(error.cause)}` : "";
  return (error.stack ?? error.message) + cause;
}

/** Every command throws where it would end the process, and after an error points at its own help. `path`: `tctl users add`. */
function prepare(command: Command, path: string): void {
  command.exitOverride().showHelpAfterError(`(run "${path} --help" for what there is)`);
  for (const each of command.commands) prepare(each, `${path} ${each.name()}`);
}

/** Data, for the next program in a pipe. */
export function print(text: string): void {
  process.stdout.write(text);
}

/** Talk, for the person. */
export function say(text: string): void {
  process.stderr.write(text);
}

function drain(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writableLength === 0) resolve();
    else stream.write("", () => resolve());
  });
}

/** Aborted by Ctrl-C or SIGTERM; a second Ctrl-C ends the process at once. */
export function interruption(): AbortSignal {
  const abort = new AbortController();
  const onSignal = () => {
    if (abort.signal.aborted) process.exit(130);
    abort.abort(new Error("interrupted"));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return abort.signal;
}

/** Resolves when the signal is. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** As a shell reports it. */
export function exitCodeOf(end: { code: number | null; signal: NodeJS.Signals | null }): number {
  if (end.code !== null) return end.code;
  return 128 + (end.signal === null ? 0 : constants.signals[end.signal]);
}
