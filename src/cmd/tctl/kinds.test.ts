import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "../cli/program.ts";
import { parseNamedRef, parseRef, titleOf } from "./kinds.ts";

test("a reference is a kind, by any of its names, and perhaps a name", () => {
  assert.deepEqual(parseRef("users"), { kind: "user" });
  assert.deepEqual(parseRef("user/a@b.c/d"), { kind: "user", name: "a@b.c/d" });
  assert.deepEqual(parseRef("vnet_config"), { kind: "vnet_config", name: "vnet-config" });
  assert.deepEqual(parseNamedRef("cap"), { kind: "cluster_auth_preference", name: "cluster-auth-preference" });
});

test("a reference that cannot be meant says what can", () => {
  assert.throws(() => parseRef("vnet_confg"), /vnet_config/);
  assert.throws(() => parseRef("nosuch"), { message: 'unknown kind "nosuch" (tctl explain lists all)' });
  assert.throws(() => parseRef("user/"), UsageError);
  assert.throws(() => parseRef("vnet_config/vnet-config"), /only simple/);
  assert.throws(() => parseNamedRef("role"), /expected role\/NAME/);
});

test("titles are those of the guide", () => {
  assert.equal(titleOf("vnet_config", "vnet-config"), "vnet_config");
  assert.equal(titleOf("user", "alice"), 'user "alice"');
});
