import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Argument } from "commander";
import { needs } from "../../testkit/mod.ts";
import { formatOption } from "./arguments.ts";
import { complete } from "./completion.ts";
import { newProgram } from "./program.ts";

const run = promisify(execFile);
const BIN = join(import.meta.dirname, "../../../bin");
const ENV = { ...process.env, PATH: `${BIN}:${process.env.PATH}` };

function sample() {
  const program = newProgram("tsh", "…").option("--proxy <address>", "the proxy");
  const apps = program.command("apps").alias("app").description("applications");
  apps.command("ls").description("list").option("-v, --verbose", "more").addOption(formatOption());
  apps.command("login").argument("<app>");
  program.command("get").argument("<refs>");
  program.command("secret", { hidden: true });
  program.command("shell").addArgument(new Argument("<which>").choices(["bash", "zsh"]));
  return program;
}

test("what a word may become: commands, options, their values, known arguments", () => {
  for (const [words, expected] of [
    [[""], ["version", "completion", "apps", "get", "shell", "help"]],
    [["ap"], ["apps"]],
    [
      ["apps", ""],
      ["ls", "login", "help"],
    ],
    [
      ["app", "l"],
      ["ls", "login"],
    ],
    [["apps", "ls", "--v"], ["--verbose"]],
    [
      ["apps", "ls", "-"],
      ["--verbose", "--format", "--help", "--debug", "--proxy"],
    ],
    [["apps", "ls", "--format", "j"], ["json"]],
    [
      ["apps", "ls", "-f", ""],
      ["text", "json", "yaml"],
    ],
    [["apps", "ls", "--format=y"], ["--format=yaml"]],
    [["apps", "ls", "--none=y"], []],
    [["--proxy", "p.test", "ap"], ["apps"]],
    [["--proxy=p.test", "ap"], ["apps"]],
    [["--proxy", "ap"], []], // the address, which nobody knows
    [["apps", "login", ""], []],
    [["get", "ro"], ["role"]],
    [["get", "role", ""], []],
    [["shell", "z"], ["zsh"]],
    [["sec"], []],
    [["apps", "--", ""], []],
    [[], ["version", "completion", "apps", "get", "shell", "help"]],
  ] as const) {
    const found = complete(sample(), words, { refs: ["role", "user"] });
    assert.deepEqual(
      found.map(({ word }) => word),
      expected,
      words.join(" "),
    );
  }
  assert.equal(complete(sample(), ["ap"])[0]?.description, "applications");
});

/** What bash would offer, by its own completion variables. */
async function inBash(...words: string[]): Promise<string[]> {
  const [program = ""] = words;
  const script = `source <(${program} completion bash)
    complete -p ${program} >&2
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
    _${program}_complete; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = await run("bash", ["-c", script], { env: ENV });
  assert.match(stderr, new RegExp(`^complete -o default -F _${program}_complete ${program}$`, "m"));
  return stdout.trim().split("\n");
}

test("bash: each of the three programs completes", async () => {
  assert.deepEqual(await inBash("tsh", "vne"), ["vnet"]);
  assert.deepEqual(await inBash("tctl", "get", "vn"), ["vnet_config"]);
  assert.deepEqual(await inBash("teleport", "start", "--diag"), ["--diag-addr"]);
  // Readline breaks words at "=".
  assert.deepEqual(await inBash("tsh", "apps", "ls", "--format", "=", "js"), ["json"]);
  assert.deepEqual(await inBash("tsh", "apps", "ls", "--format", "="), ["text", "json", "yaml"]);
  assert.deepEqual(await inBash("tsh", "vnet", "exec", "--", "ps"), [""]);
});

test("fish: commands with their descriptions, options and values", needs("fish"), async () => {
  const ask = async (line: string) => {
    const home = await mkdtemp(join(tmpdir(), "fish-"));
    const script = `tctl completion fish | source; complete -C '${line}'`;
    const { stdout } = await run("fish", ["--no-config", "-c", script], { env: { ...ENV, HOME: home } });
    await rm(home, { recursive: true, force: true });
    return stdout.trim().split("\n");
  };
  assert.deepEqual(await ask("tctl expl"), [
    "explain\tprint what a kind of resource, or one of its fields, is; without a word, the kinds there are",
  ]);
  assert.deepEqual(await ask("tctl get vn"), ["vnet_config"]);
});

test("zsh: commands with their descriptions, and files where nothing is known", needs("zsh"), async () => {
  const dir = await mkdtemp(join(tmpdir(), "zsh-"));
  const file = join(dir, "ask.zsh");
  const lines = [
    `autoload -Uz compinit && compinit -u -d ${join(dir, "dump")}`,
    "source <(tctl completion zsh)",
    // What completion's own functions are told.
    "_describe() { eval print -rl -- '\"$'\"{$2[@]}\"'\"' }",
    "_files() { print files }",
    'ask() { words=(tctl "$@"); CURRENT=$#words; _tctl }',
    "print registered:$_comps[tctl]",
    "ask lo",
    "ask create ''",
  ];
  await writeFile(file, lines.join("\n"));
  const { stdout } = await run("zsh", ["-f", file], { env: ENV });
  await rm(dir, { recursive: true, force: true });
  assert.deepEqual(stdout.trim().split("\n"), [
    "registered:_tctl",
    "lock:stop a user, a role, an app, a host or an MFA device now: open connections end, new ones are refused",
    "files",
  ]);
});
