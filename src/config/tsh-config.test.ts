import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { loadTshConfig } from "./tsh-config.ts";

test("the settings of tsh: absent, empty, good, and wrong with the place", async (t) => {
  const home = mkdtempSync(join(tmpdir(), "tsh-config-"));
  t.after(() => rmSync(home, { recursive: true }));
  assert.deepEqual(await loadTshConfig(home), { clusterOrder: [] });
  mkdirSync(join(home, "config"));
  const file = join(home, "config/config.yaml");
  const load = (text: string) => {
    writeFileSync(file, text);
    return loadTshConfig(home);
  };
  assert.deepEqual(await load(""), { clusterOrder: [] });
  assert.deepEqual(await load("vnet:\n  cluster_order: [B.example.com., a.example.com]\n"), {
    clusterOrder: ["b.example.com", "a.example.com"],
  });
  await assert.rejects(load("vnet:\n  cluster_ordr: []\n"), /config\.yaml:2:3: .*cluster_order/);
  await assert.rejects(load("vnet:\n  cluster_order: here\n"), /config\.yaml:2:18: /);
  await assert.rejects(load("a: 1\n---\nb: 2\n"), /expected one YAML document/);
});
