import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AUDIT_CODES, CREATABLE_KINDS, EVENT_DESCRIPTIONS, type Kind, NOT_CAUSED, type Resource } from "../api/mod.ts";
import { sampleResources } from "../testkit/mod.ts";
import { CLUSTER, type Login, TestAuth } from "./test-auth.ts";

/** What is written for: create, create again (refused), update, update of what was read before (refused), upsert, delete. */
const EXPECTED: Readonly<Partial<Record<Kind, readonly string[]>>> = {
  vnet_config: ["TVNET001I", "TVNET001I!", "TVNET002I", "TVNET002I!", "TVNET001I", "TVNET003I"],
  app: ["TAP03I", "TAP03I!", "TAP04I", "TAP04I!", "TAP04I", "TAP05I"],
  user: ["T1002I", "T1002I!", "T1003I", "T1003I!", "T1003I", "T1004I"],
  role: ["T9000I", "T9000I!", "T9002I", "T9002I!", "T9002I", "T9001I"],
  token: ["TJT00I", "TJT00I!", "TJT01I", "TJT01I!", "TJT01I", "TJT02I"],
  // As in Teleport, a lock that was replaced is a lock that was created.
  lock: ["TLK00I", "TLK00I!", "TLK00I", "TLK00I!", "TLK00I", "TLK01I"],
  cluster_auth_preference: Array(6)
    .fill("TCAUTH001I")
    .map((code, i) => (i === 1 || i === 3 ? `${code}!` : code)),
  cluster_networking_config: Array(6)
    .fill("TCNET002I")
    .map((code, i) => (i === 1 || i === 3 ? `${code}!` : code)),
};

let auth: TestAuth;
let ed: Login;
let samples: { readonly [K in Kind]: Resource };
before(async () => {
  auth = await TestAuth.start();
  await auth.createUser("ed", ["editor"]);
  ed = await auth.as("ed");
  samples = sampleResources({ host: "h", user: "ed", cluster: CLUSTER });
});
after(() => auth?.close());

test("every write to every kind has its event with code, name and author; a refused one says why", async () => {
  const kinds = CREATABLE_KINDS.filter((kind) => kind !== "trusted_cluster"); // which needs a second cluster
  assert.deepEqual(Object.keys(EXPECTED).sort(), [...kinds].sort());
  for (const kind of kinds) {
    const resource = samples[kind];
    const { name } = resource.metadata;
    const admin = await auth.admin();
    await admin.call("resource.delete", { kind, name }).catch(() => {});
    const before = (await auth.events()).length;
    const { resource: first } = await ed.call("resource.create", { resource });
    await assert.rejects(ed.call("resource.create", { resource }), { code: "api.already-exists" });
    await ed.call("resource.update", { resource: first });
    await assert.rejects(ed.call("resource.update", { resource: first }), { code: "api.revision-mismatch" });
    await ed.call("resource.upsert", { resource });
    await ed.call("resource.delete", { kind, name });
    const events = (await auth.events()).slice(before);
    assert.deepEqual(
      events.map(({ code, success }) => (success === false ? `${code}!` : code)),
      EXPECTED[kind],
      kind,
    );
    for (const event of events) {
      assert.equal(event.user, "ed", kind);
      assert.match(String(event["addr.remote"]), /^127\.0\.0\.1:\d+$/);
      assert.equal(event.name, kind === "token" ? `${"*".repeat(9)}ken` : name);
      assert.equal(event.success === false, typeof event.error === "string" && event.error !== "");
    }
  }
});

test("the page of events knows every event, and lists none of its codes as not caused", () => {
  const codes = Object.values(AUDIT_CODES).flatMap((each: { ok: string; failed?: string }) => [each.ok, each.failed]);
  assert.deepEqual(Object.keys(EVENT_DESCRIPTIONS).sort(), Object.keys(AUDIT_CODES).sort());
  const absent = NOT_CAUSED.flatMap(([, code]) => code.split(", "));
  assert.deepEqual(
    absent.filter((code) => codes.includes(code)),
    [],
  );
});
