/** What `tctl` says of a bad resource, and of a write that would lose another's. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync } from "node:fs";
import test from "node:test";
import { sleep } from "../../src/base/mod.ts";
import type { BackgroundProcess } from "../../src/testkit/mod.ts";
import { LoopbackCluster } from "./loopback-cluster.ts";
import { ZONE, zoneYaml } from "./loopback-parts.ts";

const ZONE_YAML = zoneYaml(ZONE);

/** A resource file and what `tctl create -f` says of it. */
const RESOURCES: [what: string, text: string, stderr: string][] = [
  [
    "unknown key",
    ZONE_YAML.replace("custom_dns_zones", "custom_dns_zone"),
    'ERROR: bad.yaml:6:3: spec: unknown key "custom_dns_zone"; did you mean "custom_dns_zones"?\n',
  ],
  [
    "bad YAML",
    ZONE_YAML.replace("metadata:", "metadata"),
    'ERROR: bad.yaml:3:1: a line without ":", or the next line is indented wrongly\n',
  ],
  [
    "wrong kind",
    ZONE_YAML.replace("vnet_config", "vnet_confg"),
    'ERROR: bad.yaml:1:7: kind: unsupported resource kind "vnet_confg"; did you mean "vnet_config"?\n',
  ],
  [
    "CIDR of no address",
    `${ZONE_YAML}  ipv4_cidr_range: 256.0.0.0/8\n`,
    "ERROR: bad.yaml:8:20: spec.ipv4_cidr_range: parsing ipv4_cidr_range: invalid CIDR address: 256.0.0.0/8\n",
  ],
  [
    "CIDR of IPv6",
    `${ZONE_YAML}  ipv4_cidr_range: fd00::/8\n`,
    "ERROR: bad.yaml:8:20: spec.ipv4_cidr_range: ipv4_cidr_range must be a valid IPv4 CIDR range: fd00::/8\n",
  ],
  [
    "suffix with a wildcard",
    ZONE_YAML.replace("company.test", '"*.company.test"'),
    "ERROR: bad.yaml:7:13: spec.custom_dns_zones[0].suffix: validating custom_dns_zone.suffix \"*.company.test\": [a DNS zone is lower-case labels of letters, digits and '-', each starting and ending with a letter or digit, joined by '.']\n",
  ],
  [
    "empty suffix",
    ZONE_YAML.replace("company.test", '""'),
    "ERROR: bad.yaml:7:13: spec.custom_dns_zones[0].suffix: custom_dns_zone must have a non-empty suffix\n",
  ],
];

test("bad resources", async (t) => {
  await using cluster = await LoopbackCluster.start();
  const before = await cluster.ok("tctl", ["get", "vnet_config"]);

  for (const [what, text, stderr] of RESOURCES) {
    await t.test(`tctl create: ${what}`, async () => {
      cluster.file("bad.yaml", text);
      const said = await cluster.says("tctl", ["create", "-f", "bad.yaml"]);
      assert.deepEqual(said, { code: 1, stdout: "", stderr });
    });
  }

  await t.test("what is stored is what it was", async () => {
    assert.equal(await cluster.ok("tctl", ["get", "vnet_config"]), before);
  });
  await t.test("files and references that name nothing", () => namesOfNothing(cluster));
  await t.test("the second tctl create changes nothing and hints at --force", () => secondCreate(cluster));
  await t.test("of two edits at once the later one is refused", () => lostEdit(cluster));
});

async function namesOfNothing(cluster: LoopbackCluster): Promise<void> {
  const lines: [args: string[], code: number, stderr: string][] = [
    [["create", "none.yaml"], 1, "ERROR: cannot read the resource file none.yaml: there is no such file\n"],
    [["get", "vnet_confg"], 2, 'ERROR: unknown kind "vnet_confg"; did you mean "vnet_config"?\n'],
    [["get", "user/bob"], 1, 'ERROR: user "bob" is not found\n'],
  ];
  for (const [args, code, stderr] of lines) {
    assert.deepEqual(await cluster.says("tctl", args), { code, stdout: "", stderr });
  }
}

async function secondCreate(cluster: LoopbackCluster): Promise<void> {
  const before = await cluster.ok("tctl", ["get", "vnet_config"]);
  // The guide's own second file, which has no zones.
  const second = ZONE_YAML.replace(/ {2}custom_dns_zones:.*/s, "  ipv4_cidr_range: 100.96.0.0/12\n");
  assert.deepEqual(await cluster.says("tctl", ["create", cluster.file("second.yaml", second)]), {
    code: 1,
    stdout: "",
    stderr: "ERROR: vnet_config already exists, use -f or --force flag to override\n",
  });
  assert.equal(await cluster.ok("tctl", ["get", "vnet_config"]), before, "zones and revision are what they were");
}

/** Alice's editor stays open while bob edits and saves; then she saves. */
async function lostEdit(cluster: LoopbackCluster): Promise<void> {
  const opened = cluster.file("alice-opened");
  const alice = cluster.spawn("tctl", ["edit", "vnet_config"], {
    env: {
      EDITOR: editor(cluster, "alice", `touch ${opened}\nwhile [ ! -e go ] && [ -e "$1" ]; do sleep 0.02; done\n`),
    },
    input: "",
  });
  while (!existsSync(opened)) await sleep(10);
  const bob = { env: { EDITOR: editor(cluster, "bob", "") }, input: "" };
  assert.equal(await cluster.ok("tctl", ["edit", "vnet_config"], bob), "vnet_config has been updated\n");
  const bobs = await cluster.ok("tctl", ["get", "vnet_config"]);
  cluster.file("go", "");
  const { code, output } = await ended(alice);
  assert.equal(code, 1);
  const [, kept] =
    /^ERROR: the revision of vnet_config does not match: it was changed while you edited it, and your edit was not saved; run "tctl edit" again to work from the latest state\nWhat you typed is kept in (\S+)\n$/.exec(
      output,
    ) ?? assert.fail(output);
  assert.match(readFileSync(kept!, "utf8"), /suffix: alice\.test/);
  assert.match(bobs, /suffix: bob\.test/);
  assert.equal(await cluster.ok("tctl", ["get", "vnet_config"]), bobs, "bob's edit stands");
}

/** An editor that waits for what `before` waits for, and then changes the zone. */
function editor(cluster: LoopbackCluster, name: string, before: string): string {
  const path = cluster.file(`${name}.sh`, `#!/bin/sh\n${before}exec sed -i 's/company/${name}/' "$1"\n`);
  chmodSync(path, 0o700);
  return path;
}

async function ended(program: BackgroundProcess): Promise<{ code: number | null; output: string }> {
  const { code } = await program.exited;
  return { code, output: program.output };
}
