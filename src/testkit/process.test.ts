import assert from "node:assert/strict";
import test from "node:test";
import { BackgroundProcess, run, runOk } from "./process.ts";

test("a result has code, output and input's answer", async () => {
  const result = await run(["sh", "-c", "cat; echo no >&2; exit 3"], { input: "yes" });
  assert.deepEqual(result, { code: 3, signal: null, stdout: "yes", stderr: "no\n" });
  await assert.rejects(runOk(["false"]), /false: exit code 1/);
  assert.equal((await run(["sleep", "60"], { timeoutMs: 50 })).signal, "SIGKILL");
});

test("a child that outlives the program and keeps its pipes open is not waited for", async () => {
  const start = performance.now();
  assert.equal(await runOk(["sh", "-c", "sleep 4 & echo done"]), "done\n");
  assert.ok(performance.now() - start < 3000);
});

test("a program beside the test: what it says, its input, its end", async () => {
  const script = "trap 'echo bye; exit 5' TERM; read line; echo got $line; while :; do sleep 0.01; done";
  await using program = new BackgroundProcess("program", ["sh", "-c", script]);
  program.write("this\n");
  await program.waitFor(/got this/);
  assert.deepEqual(await program.stop(), { code: 5, signal: null });
  assert.match(program.output, /bye/);
  await assert.rejects(program.waitFor(/never/), /ended before/);
});
