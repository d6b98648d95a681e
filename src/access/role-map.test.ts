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
  assert.deepEqual(mapRoles(map("a.b", "x"), ["a.b", "aXb"]), ["x"], "all else is literal");
  assert.deepEqual(mapRoles(map("a*a", "x"), ["a", "aa", "aba"]), ["x"], "the ends do not overlap");
});

test("a regular expression binds both ends, and its groups can be repeated", () => {
  assert.deepEqual(mapRoles(map("^(eu|us)-(.+)$", "$2-in-$1"), ["eu-dba", "xeu-dba", "as-dba"]), ["dba-in-eu"]);
  assert.deepEqual(mapRoles(map("^($", "all"), ["(", "access"]), [], "one that is none gives nothing");
});

test("what repeats nothing gives no role", () => {
  assert.deepEqual(mapRoles(map("*", "$1"), [""]), []);
  assert.deepEqual(mapRoles(map("access", "$1"), ["access"]), []);
});

test("nothing but groups can be repeated", () => {
  assert.deepEqual(mapRoles(map("access", "r$&", "r$$", "r$constructor"), ["access"]), ["r$&", "r$", "r"]);
});
