import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { NotFoundError } from "../api/mod.ts";
import { ADMIN_FILE } from "./mod.ts";
import { CLUSTER, TestAuth } from "./test-auth.ts";

test("first start: CAs, presets, preference and the administrator's file, kept over a restart", async () => {
  const own = await TestAuth.start();
  try {
    const admin = await own.admin();
    const before = await admin.call("cluster.status", {});
    assert.equal(before.cluster_name, CLUSTER);
    assert.equal((await stat(join(own.dataDir, ADMIN_FILE))).mode & 0o777, 0o600);
    const { resources } = await admin.call("resource.list", { kind: "role" });
    assert.deepEqual(
      resources.map((r) => r.metadata.name),
      ["access", "auditor", "editor"],
    );
    await assert.rejects(admin.call("resource.get", { kind: "vnet_config", name: "vnet-config" }), NotFoundError);
    await admin.call("resource.delete", { kind: "role", name: "auditor" });

    await own.restart({ clusterName: "other.test" });
    const again = await own.admin();
    assert.deepEqual(await again.call("cluster.status", {}), before, "another configured name does not count");
    assert.equal(
      (await again.call("resource.list", { kind: "role" })).resources.length,
      2,
      "a deleted preset stays away",
    );
    const { resources: cas } = await again.call("resource.list", { kind: "cert_authority" });
    assert.deepEqual(
      cas.map((ca) => ca.metadata.name),
      [`host/${CLUSTER}`, `user/${CLUSTER}`],
    );
    assert.doesNotMatch(JSON.stringify(cas), /PRIVATE/);
  } finally {
    await own.close();
  }
});

test("a preference from the configuration file is not edited behind its back", async () => {
  const own = await TestAuth.start({ authentication: { secondFactors: [], fromFile: true } });
  try {
    const admin = await own.admin();
    const ref = { kind: "cluster_auth_preference", name: "cluster-auth-preference" } as const;
    const { resource } = await admin.call("resource.get", ref);
    await assert.rejects(admin.call("resource.update", { resource }), /configuration file/);
    await admin.call("resource.upsert", { resource });
  } finally {
    await own.close();
  }
});

test("a cluster of an older version gets at its next start what its presets have been given since", async () => {
  const own = await TestAuth.start();
  try {
    const admin = await own.admin();
    const { resource } = await admin.call("resource.get", { kind: "role", name: "editor" });
    assert.ok(resource.kind === "role");
    const rules = resource.spec.allow!.rules!.map((rule) => ({
      ...rule,
      resources: rule.resources.filter((kind) => kind !== "lock"),
    }));
    const old = { ...resource, spec: { ...resource.spec, allow: { rules } } };
    await admin.call("resource.upsert", { resource: old });
    // As that version wrote it.
    await own.backend.put("/done/presets", new TextEncoder().encode('{"v":1}'));
    await own.restart();
    const kinds = async () => {
      const now = (await (await own.admin()).call("resource.get", { kind: "role", name: "editor" })).resource;
      return now.kind === "role" ? now.spec.allow!.rules!.flatMap((rule) => rule.resources as string[]) : [];
    };
    assert.ok((await kinds()).includes("lock"));
    await (await own.admin()).call("resource.upsert", { resource: old });
    await own.restart();
    assert.ok(!(await kinds()).includes("lock"), "who takes it away now means it");
  } finally {
    await own.close();
  }
});
