import assert from "node:assert/strict";
import { test } from "node:test";
import { mapRoles } from "./role-map.ts";

const map = (remote: string, ...local: string[]) => [{ remote, local }];

test("a role is worth what its entry says, and nothing without one", () => {
  const roleMap = [...map("access", "visitor"), ...map("dev", "visitor", "app-dev")];
  assert.deepEqual(mapRoles(roleMap, ["access"]), ["visitor"]);
  assert.deepEqual(mapRoles(roleMap, ["dev", "access"]), ["visitor", "app-dev"], "each once");
  assert.deepEqual(mapRoles(roleMap, ["editor", "acces", "access2"]), []);
});

test("a star stands for any text, and its text can be repeated", () => {
  assert.deepEqual(mapRoles(map("*", "visitor"), ["anything", ""]), ["visitor"]);
  assert.deepEqual(mapRoles(map("team-*", "leaf-$1"), ["team-a", "team-", "xteam-a"]), ["leaf-a", "leaf-"]);
  assert.deepEqual(mapRoles(map("*-*-ro", "$2-of-$1"), ["db-eu-ro", "db-ro"]), ["eu-of-db"]);
  assert.deepEqual(mapRoles(map("a*a", "x"), ["a", "aa", "aba"]), ["x"], "the ends do not overlap");
});

test("what repeats nothing gives no role", () => {
  assert.deepEqual(mapRoles(map("*", "$1"), [""]), []);
  assert.deepEqual(mapRoles(map("access", "$1"), ["access"]), []);
});

test("a template in a local role cannot name a property of strings or objects", () => {
  assert.deepEqual(mapRoles(map("access", "r$&", "r$$"), ["access"]), ["r$&", "r$$"]);
});
