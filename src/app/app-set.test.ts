import assert from "node:assert/strict";
import { test } from "node:test";
import type { App } from "../api/mod.ts";
import { silentLogger } from "../base/mod.ts";
import { FakeView, virtualClock } from "../testkit/mod.ts";
import { AppSet } from "./app-set.ts";
import type { AGENT_KINDS } from "./sessions.ts";

type Labels = Record<string, string>;

function app(name: string, labels: Labels = {}, spec: Partial<App["spec"]> = {}): App {
  return {
    kind: "app",
    version: "v3",
    metadata: { name, labels, revision: "r" },
    spec: { uri: "tcp://localhost:1", ...spec },
  };
}

function commands(...labels: string[]): Pick<App["spec"], "dynamic_labels"> {
  return { dynamic_labels: Object.fromEntries(labels.map((label) => [label, { command: [label], period: "10s" }])) };
}

/** An agent's set with programs that print what the test says. */
function appSet(o: { apps?: App[]; selectors?: Record<string, string | string[]>[] }) {
  const clock = virtualClock();
  const view = new FakeView<(typeof AGENT_KINDS)[number]>();
  const printed = new Map<string, string | Error>();
  let served: readonly App[] = [];
  let ran = 0;
  const set = new AppSet({
    apps: o.apps ?? [],
    selectors: o.selectors ?? [],
    view,
    clock,
    log: silentLogger,
    async run([program = ""]) {
      ran++;
      const text = printed.get(program) ?? "";
      if (text instanceof Error) throw text;
      return text;
    },
    changed: (apps) => {
      served = apps;
    },
  });
  const labels = (name: string) => served.find((each) => each.metadata.name === name)?.metadata.labels;
  return { set, view, clock, printed, labels, names: () => served.map((each) => each.metadata.name), ran: () => ran };
}

/** Lets programs that have ended be noticed. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test("an agent serves its file's apps, and of the cluster's those that its selectors choose, as they come and go", async () => {
  const { set, view, names } = appSet({ apps: [app("own")], selectors: [{ env: ["dev", "st*"] }, { team: "^r.d$" }] });
  view.put(app("dev", { env: "dev" }));
  await set.start();
  assert.deepEqual(names(), ["own", "dev"]);
  view.put(app("prod", { env: "prod" }));
  view.put(app("staging", { env: "staging" }));
  view.put(app("red", { team: "red" }));
  view.put(app("own", { env: "dev" })); // the file's name wins
  view.put(app("bare"));
  assert.deepEqual(names(), ["own", "dev", "staging", "red"]);
  view.put(app("dev", { env: "prod" }));
  view.delete("app", "staging");
  assert.deepEqual(names(), ["own", "red"]);
});

test("without selectors no resource is served, with '*': '*' each is, with an empty one none", async () => {
  for (const [selectors, expected] of [
    [[], []],
    [[{}], []],
    [[{ "*": "*" }], ["bare"]],
  ] as const) {
    const { set, view, names } = appSet({ selectors: [...selectors] });
    view.put(app("bare"));
    await set.start();
    assert.deepEqual(names(), expected);
  }
});

test("a command prints a label's value: before the app is served, then in its period; a failure is the value too", async () => {
  const { set, clock, printed, labels, names } = appSet({
    apps: [app("db", { env: "dev" }, commands("kernel", "up"))],
  });
  printed.set("kernel", "  6.18\n");
  printed.set("up", new Error("no such\nprogram"));
  const started = set.start();
  assert.deepEqual(names(), [], "its labels decide who may reach it");
  await started;
  assert.deepEqual(labels("db"), { env: "dev", kernel: "6.18", up: "no such program" });
  printed.set("kernel", "6.19");
  printed.set("up", "x".repeat(5000));
  clock.advance(9_999);
  await settled();
  assert.equal(labels("db")?.kernel, "6.18");
  clock.advance(1);
  await settled();
  assert.equal(labels("db")?.kernel, "6.19");
  assert.equal(labels("db")?.up?.length, 1024);
});

test("commands run for the apps that are served, eight at once, and end with them", async () => {
  const { set, view, clock, ran } = appSet({ selectors: [{ "*": "*" }] });
  view.put(app("many", {}, commands(...Array.from({ length: 20 }, (_, i) => `c${i}`))));
  await set.start();
  assert.equal(ran(), 20);
  view.put(app("many", { changed: "yes" }, commands(...Array.from({ length: 20 }, (_, i) => `c${i}`))));
  await settled();
  assert.equal(ran(), 20, "the same commands go on in their period");
  view.delete("app", "many");
  clock.advance(60_000);
  await settled();
  assert.equal(ran(), 20);
  assert.equal(clock.pending, 0);
});

test("a label's program is run without a shell, and its failure is told", async () => {
  const view = new FakeView<(typeof AGENT_KINDS)[number]>();
  let served: readonly App[] = [];
  const dynamic_labels = {
    args: { command: ["echo", "$HOME", "; id"] },
    none: { command: ["/no/such/program"] },
    fails: { command: ["false"] },
  };
  const set = new AppSet({
    apps: [app("db", {}, { dynamic_labels })],
    selectors: [],
    view,
    clock: virtualClock(),
    log: silentLogger,
    changed: (apps) => {
      served = apps;
    },
  });
  await set.start();
  const labels = served[0]?.metadata.labels ?? {};
  assert.equal(labels.args, "$HOME ; id");
  assert.match(labels.none ?? "", /ENOENT/);
  assert.match(labels.fails ?? "", /Command failed: false/);
  set.close();
});
