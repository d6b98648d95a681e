import assert from "node:assert/strict";
import { test } from "node:test";
import { checkedStep, rotationText } from "./rotate.ts";

test("tctl auth rotate: what the flags mean, and which do not go together", () => {
  assert.deepEqual(checkedStep({ type: "host" }), { phase: "init", begins: true });
  assert.deepEqual(checkedStep({ type: "host", gracePeriod: 3600 }), { phase: "init", begins: true });
  assert.deepEqual(checkedStep({ type: "user", manual: true, phase: "init" }), { phase: "init", begins: true });
  assert.deepEqual(checkedStep({ type: "user", manual: true, phase: "standby" }), { phase: "standby", begins: false });
  assert.deepEqual(checkedStep({ type: "user", phase: "rollback" }), { phase: "rollback", begins: false });
  assert.throws(() => checkedStep({ type: "host", manual: true }), /--manual needs --phase/);
  assert.throws(() => checkedStep({ type: "host", phase: "update_clients" }), /--phase is for --manual/);
  assert.throws(() => checkedStep({ type: "host", manual: true, phase: "init", gracePeriod: 1 }), /goes by itself/);
});

test("tctl status says where a rotation stands in Teleport's words", () => {
  const started = "2026-01-02T03:04:05.000Z";
  const rotation = { state: "in_progress", mode: "manual", started } as const;
  assert.equal(rotationText(undefined), "never updated");
  assert.equal(
    rotationText({ ...rotation, phase: "update_clients" }),
    `rotating clients (mode: manual, started: ${started})`,
  );
  const standby = "2026-01-03T09:04:05.000Z";
  assert.equal(
    rotationText({ ...rotation, mode: "auto", phase: "init", schedule: { standby } }),
    `initialized (mode: auto, started: ${started}, ending: ${standby})`,
  );
  assert.equal(rotationText({ state: "standby", phase: "standby", last_rotated: started }), `rotated ${started}`);
});
