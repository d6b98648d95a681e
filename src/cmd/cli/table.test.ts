import assert from "node:assert/strict";
import { test } from "node:test";
import { headless, table } from "./table.ts";

test("columns are as wide as their widest cell and lines end without spaces", () => {
  assert.equal(
    table(
      ["Application", "Type"],
      [
        ["tcp-app", "TCP"],
        ["a-much-longer-name", "HTTP"],
      ],
    ),
    "Application        Type\n------------------ ----\ntcp-app            TCP\na-much-longer-name HTTP\n",
  );
  assert.equal(table(["Name"], []), "Name\n----\n");
});

test("a headless table has neither header nor dashes", () => {
  assert.equal(
    headless([
      ["Cluster", "teleport.example.com"],
      ["CA pin", "sha256:00"],
    ]),
    "Cluster teleport.example.com\nCA pin  sha256:00\n",
  );
});

test("control characters of a name do not reach the terminal", () => {
  assert.equal(headless([["a\u001b[31mb"]]), "a\u{fffd}[31mb\n");
});
