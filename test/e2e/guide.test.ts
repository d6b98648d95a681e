/** Both versions of the guide, step by step on four hosts, as its reader would follow them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { VERSION } from "../../src/base/mod.ts";
import { needs } from "../../src/testkit/mod.ts";
import { fileText, fillIn, type Guide, readGuide, type Step, substitute } from "./guide.ts";
import { agentSections, CLUSTER_NEEDS, GuideCluster, PASSWORD, writeFile } from "./guide-cluster.ts";

const PROJECT = join(import.meta.dirname, "../..");
const PSQL = "psql postgres://postgres@tcp-app.company.test/postgres";

for (const version of ["17-dev", "17.7"]) {
  test(`the guide's steps, version ${version}`, needs(...CLUSTER_NEEDS, "jq"), async (t) => {
    await using cluster = await GuideCluster.start();
    const guide = readGuide(version);
    await directConnectionTimesOut(cluster);
    // Only 17.7 has the installation among its steps.
    if (!guide.steps.some((step) => "install" in step))
      await cluster.hosts.laptop.execOk(["./install"], { cwd: PROJECT });
    const reader = new Reader(cluster, guide);
    for (const step of guide.steps) await reader.follow(step, t);
    await auditTellsOfIt(cluster);
  });
}

class Reader {
  readonly #cluster: GuideCluster;
  readonly #guide: Guide;
  /** Assignments made so far; a person's shell would keep them. */
  #variables = "";

  constructor(cluster: GuideCluster, guide: Guide) {
    this.#cluster = cluster;
    this.#guide = guide;
  }

  async follow(step: Step, t: TestContext): Promise<void> {
    const name = `${step.section}: ${subject(step)}`;
    if (step.exception !== undefined) t.diagnostic(`not followed (${step.exception}): ${name}`);
    else await t.test(name, () => this.#follow(step));
  }

  async #follow(step: Step): Promise<void> {
    if ("run" in step) await this.#run(step);
    else if ("install" in step) await this.#install(step);
    else if ("edit" in step) await this.#edit(step.edit);
    else if ("file" in step) await this.#file(step);
    else await this.#do(step.do);
  }

  async #run(step: Extract<Step, { run: string }>): Promise<void> {
    const command = this.#own(step.run);
    if (step.variable === true) {
      this.#variables += `${command}\n`;
      if (step.check === undefined) return;
      assert.equal(await this.#type(step.check), fillIn(step.expect ?? "", this.#values));
      return;
    }
    if (step.alreadyExists !== undefined) {
      assert.match(await this.#type(command, 1), /already exists/);
      return;
    }
    if (command === PSQL) return this.#connect();
    const input = command.startsWith("tsh login") ? `echo '${PASSWORD}' | ` : "";
    const output = await this.#type(input + command);
    for (const line of step.output ?? []) assert.ok(squeeze(output).includes(squeeze(this.#own(line))), output);
  }

  async #install(step: Extract<Step, { install: string }>): Promise<void> {
    const output = await this.#cluster.laptop.execOk(["sh", "-c", step.install], { cwd: PROJECT });
    assert.equal(output, `${step.output.join("\n")}\n`);
  }

  /** The editor is a script that sets another range, as a person would by hand. */
  async #edit(command: string): Promise<void> {
    const script = `#!/bin/sh\nsed -i -e '/ipv4_cidr_range/d' -e 's|^spec:|spec:\\n  ipv4_cidr_range: 100.96.0.0/12|' "$1"\n`;
    await writeFile(this.#cluster.laptop, "/home/alice/editor", script);
    await this.#type("chmod +x editor");
    assert.match(await this.#type(`EDITOR=/home/alice/editor ${command}`), /^vnet_config has been updated$/m);
    const now = await this.#type("tctl get vnet_config");
    assert.match(now, /ipv4_cidr_range: "?100\.96\.0\.0\/12"?/);
    assert.match(now, /suffix: company\.test/, "the edit kept the zones");
  }

  async #file(step: Extract<Step, { file: string }>): Promise<void> {
    const text = this.#own(fileText(step));
    if (step.file !== "/etc/teleport.yaml") return this.#cluster.alice.file(step.file, text);
    // The guide's "# …" stand for what the reader's file has already.
    const own = text.replace("# …\n", agentSections(this.#cluster.pin)).replace("  # …\n", "  enabled: yes\n");
    await writeFile(this.#cluster.hosts.agent, step.file, own);
  }

  async #do(what: Extract<Step, { do: string }>["do"]): Promise<void> {
    switch (what) {
      case "restart the teleport daemon":
        await this.#cluster.restartAgent();
        return;
      case "start VNet":
        await this.#cluster.startVnet();
        return;
      case "connect with psql":
        await this.#connect();
    }
  }

  /** The guide's psql line; what one types into it is a question whose answer shows the way taken. */
  async #connect(): Promise<void> {
    const question = "select 'from ' || host(inet_client_addr());";
    await this.#type(`for i in $(seq 50); do tsh apps ls | grep -q tcp-app.company.test && break; sleep 0.1; done`);
    assert.match(await this.#type(`echo "${question}" | ${PSQL}`), /from 10\.77\.0\.30/);
  }

  get #values(): Record<string, string> {
    return { version: VERSION, pin: this.#cluster.pin, uri: this.#cluster.uri };
  }

  #own(text: string): string {
    return substitute(this.#guide, text, this.#values);
  }

  #type(command: string, code = 0): Promise<string> {
    return this.#cluster.alice.type(this.#variables + command, { code });
  }
}

async function directConnectionTimesOut(cluster: GuideCluster): Promise<void> {
  const { address, port } = cluster.database;
  const url = `postgres://postgres@${address}:${port}/postgres?connect_timeout=2`;
  const { code, stderr } = await cluster.laptop.exec(["psql", url, "-c", "select 1"]);
  assert.equal(code, 2);
  assert.match(stderr, /timeout expired/);
}

async function auditTellsOfIt(cluster: GuideCluster): Promise<void> {
  const starts = await cluster.audit("app.session.start");
  const ends = await cluster.audit("app.session.end");
  assert.ok(starts.some(({ app_name, user }) => app_name === "tcp-app" && user === "email@example.com"));
  assert.ok(ends.some(({ app_public_addr }) => app_public_addr === "tcp-app.company.test"));
}

function subject(step: Step): string {
  if ("run" in step) return step.run;
  if ("install" in step) return step.install;
  if ("edit" in step) return step.edit;
  return "file" in step ? step.file : step.do;
}

/** Columns may be padded by any number of blanks. */
function squeeze(text: string): string {
  return text.replaceAll(/[ \t]+/g, " ");
}
