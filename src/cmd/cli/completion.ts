import type { Command, Option } from "commander";

export interface Candidate {
  readonly word: string;
  readonly description: string;
}

/** Words that an argument may be besides its choices, by its name: resource kinds for `tctl get`. */
export type KnownWords = Readonly<Record<string, readonly string[]>>;

/** As the scripts read it: a word, a tab, what it is. */
export function candidatesText(candidates: readonly Candidate[]): string {
  return candidates.map(({ word, description }) => `${word}\t${description}\n`).join("");
}

/**
 * What the last of `words` may become, the program's name left out: commands,
 * options and the values that they allow. Empty where the shell knows better:
 * files, and what stands behind `--`.
 */
export function complete(program: Command, words: readonly string[], known: KnownWords = {}): Candidate[] {
  const partial = words.at(-1) ?? "";
  const place = walk(program, words.slice(0, -1));
  if (place === undefined) return [];
  const { command, awaited, position } = place;
  const assigned = /^(--[^=]+)=(.*)$/.exec(partial);
  const candidates =
    assigned !== null
      ? valuesOf(optionNamed(program, command, assigned[1]!)).map(({ word }) => plain(`${assigned[1]}=${word}`))
      : awaited !== undefined
        ? valuesOf(awaited)
        : partial.startsWith("-")
          ? optionsOf(program, command)
          : wordsOf(command, position, known);
  return candidates.filter(({ word }) => word.startsWith(partial));
}

interface Place {
  readonly command: Command;
  /** The option whose value comes next. */
  readonly awaited: Option | undefined;
  /** Arguments of the command so far. */
  readonly position: number;
}

/** Where the words lead; `undefined` behind `--`. */
function walk(program: Command, words: readonly string[]): Place | undefined {
  let command = program;
  let position = 0;
  let awaited: Option | undefined;
  for (const word of words) {
    if (awaited !== undefined) {
      awaited = undefined;
      continue;
    }
    if (word === "--") return undefined;
    if (word.startsWith("-")) {
      const option = word.includes("=") ? undefined : optionNamed(program, command, word);
      if (option?.required) awaited = option;
      continue;
    }
    const next = position === 0 ? subcommand(command, word) : undefined;
    if (next === undefined) position++;
    else command = next;
  }
  return { command, awaited, position };
}

function subcommand(command: Command, word: string): Command | undefined {
  return command.commands.find((each) => each.name() === word || each.aliases().includes(word));
}

function optionNamed(program: Command, command: Command, flag: string): Option | undefined {
  return [...command.options, ...program.options].find((option) => option.long === flag || option.short === flag);
}

function valuesOf(option: Option | undefined): Candidate[] {
  return (option?.argChoices ?? []).map(plain);
}

function optionsOf(program: Command, command: Command): Candidate[] {
  const own = command.createHelp().visibleOptions(command);
  const all = command === program ? own : [...own, ...program.options.filter((option) => !option.hidden)];
  return all.flatMap((option) => (option.long ? [{ word: option.long, description: option.description }] : []));
}

/** Commands, or what the next argument may be. */
function wordsOf(command: Command, position: number, known: KnownWords): Candidate[] {
  const commands = command.createHelp().visibleCommands(command);
  if (commands.length > 0 && position === 0) {
    return commands.map((each) => ({ word: each.name(), description: each.summary() || each.description() }));
  }
  const all = command.registeredArguments;
  const argument = all[position] ?? (all.at(-1)?.variadic ? all.at(-1) : undefined);
  if (argument === undefined) return [];
  return [...(argument.argChoices ?? []), ...(known[argument.name()] ?? [])].map(plain);
}

function plain(word: string): Candidate {
  return { word, description: "" };
}
