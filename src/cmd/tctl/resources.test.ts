import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleResources } from "../../testkit/mod.ts";
import { withoutSecrets } from "./resources.ts";

test("tctl get prints no token unless it is asked for secrets", () => {
  const samples = sampleResources({ host: "h", user: "u", cluster: "c.test" });
  const [token, role] = withoutSecrets([samples.token, samples.role]);
  assert.equal(token?.metadata.name, "*********ken");
  assert.doesNotMatch(JSON.stringify(token), /sample-token/);
  assert.equal(role, samples.role);
});
