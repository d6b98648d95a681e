import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { RevisionMismatchError } from "../api/mod.ts";
import { raced } from "../base/mod.ts";
import { role, TestAuth } from "./test-auth.ts";

const EDITORS = 50;
const EDITS = 4;

let auth: TestAuth;
before(async () => {
  auth = await TestAuth.start();
});
after(() => auth?.close());

test("50 editors of one resource lose no update, and see each other's as conflicts", async () => {
  const admin = await auth.admin();
  await admin.call("resource.create", { resource: role("shared", {}) });
  let conflicts = 0;
  const edit = async (editor: number) => {
    const rpc = await auth.admin(); // A connection of its own.
    for (let done = 0; done < EDITS; ) {
      const { resource } = await rpc.call("resource.get", { kind: "role", name: "shared" });
      assert.ok(resource.kind === "role");
      const labels = { ...resource.spec.allow?.app_labels, [`e${editor}-${done}`]: "was here" };
      const next = { ...resource, spec: { ...resource.spec, allow: { app_labels: labels } } };
      try {
        await rpc.call("resource.update", { resource: next });
        done++;
      } catch (error) {
        assert.ok(error instanceof RevisionMismatchError, String(error));
        conflicts++;
      }
    }
  };
  await raced(Promise.all(Array.from({ length: EDITORS }, (_, i) => edit(i))), AbortSignal.timeout(60_000));
  const { resource } = await admin.call("resource.get", { kind: "role", name: "shared" });
  assert.ok(resource.kind === "role");
  assert.equal(Object.keys(resource.spec.allow?.app_labels ?? {}).length, EDITORS * EDITS, "every edit is there");
  assert.ok(conflicts > EDITORS, `${conflicts} conflicts`);
});
