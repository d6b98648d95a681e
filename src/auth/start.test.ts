import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { NotFoundError, type Resource } from "../api/mod.ts";
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

const SETTINGS = [
  { kind: "cluster_auth_preference", name: "cluster-auth-preference" },
  { kind: "cluster_networking_config", name: "cluster-networking-config" },
] as const;

test("what the configuration file sets is not edited behind its back, and set again at each start", async () => {
  const fromFile = {
    authentication: { secondFactors: [], fromFile: true },
    networking: { client_idle_timeout: "30m" },
  };
  const own = await TestAuth.start(fromFile);
  try {
    for (const ref of SETTINGS) {
      const admin = await own.admin();
      const { resource } = await admin.call("resource.get", ref);
      assert.equal(originOf(resource), "config-file");
      await assert.rejects(
        admin.call("resource.update", { resource }),
        /is set by auth_service\..* in the configuration file/,
      );
      await assert.rejects(admin.call("resource.delete", ref), /configuration file/);
      await admin.call("resource.upsert", { resource: { ...resource, spec: {} } as Resource });
      assert.equal(originOf((await admin.call("resource.get", ref)).resource), "dynamic");
      await own.restart(fromFile);
      assert.deepEqual((await (await own.admin()).call("resource.get", ref)).resource.spec, resource.spec);
    }
    await own.restart({ secondFactors: [] });
    for (const ref of SETTINGS) {
      assert.equal(originOf((await (await own.admin()).call("resource.get", ref)).resource), "defaults");
    }
  } finally {
    await own.close();
  }
});

test("what an administrator sets stays over a restart where the file says nothing; the message is the file's alone", async () => {
  const own = await TestAuth.start({ messageOfTheDay: "hello" });
  try {
    const [preference] = SETTINGS;
    const read = async () => (await (await own.admin()).call("resource.get", preference)).resource;
    const spec = async () => (await read()).spec as { message_of_the_day?: string; default_session_ttl?: string };
    assert.equal((await spec()).message_of_the_day, "hello");
    await own.restart({ messageOfTheDay: "good morning" });
    assert.equal((await spec()).message_of_the_day, "good morning");
    const edited = { ...(await read()), spec: { default_session_ttl: "1h" } } as Resource;
    await (await own.admin()).call("resource.update", { resource: edited });
    await own.restart({ messageOfTheDay: "good evening" });
    assert.deepEqual(await spec(), { default_session_ttl: "1h" });
  } finally {
    await own.close();
  }
});

function originOf({ metadata }: Resource): string | undefined {
  return metadata.labels?.["teleport.dev/origin"];
}

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
