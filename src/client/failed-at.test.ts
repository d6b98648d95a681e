import assert from "node:assert/strict";
import { test } from "node:test";
import { OperationError } from "../base/mod.ts";
import { LinkClosedError, LinkRefusedError } from "../link/mod.ts";
import { NoAgentError } from "../tunnel/mod.ts";
import { AppNotFoundError, LoginExpiredError } from "./errors.ts";
import { failedAt } from "./failed-at.ts";

class Denied extends OperationError {
  readonly code = "api.access-denied";
}

for (const [error, part] of [
  [new LoginExpiredError("x"), "login"],
  [new AppNotFoundError("x"), "login"],
  [new Denied("x"), "role"],
  [new LinkRefusedError("access-denied", "x"), "role"],
  [new LinkClosedError("access-denied", "refused", "x"), "role"],
  [new LinkRefusedError("port", "x"), "port"],
  [new LinkRefusedError("connection-refused", "x"), "target"],
  [new LinkRefusedError("timeout", "x"), "target"],
  [new LinkRefusedError("limit", "x"), "agent"],
  [new LinkClosedError("dead", "unreachable", "x"), "agent"],
  [new NoAgentError("proxy"), "agent"],
  [new Error("anything"), "agent"],
] as const) {
  test(`${error.name} ${"refusal" in error ? error.refusal : ""} is at the ${part}`, () =>
    assert.equal(failedAt(error), part));
}
