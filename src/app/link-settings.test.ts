import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterNetworkingConfig } from "../api/mod.ts";
import { linkSettings } from "./link-settings.ts";

function config(spec: ClusterNetworkingConfig["spec"]): ClusterNetworkingConfig {
  return { kind: "cluster_networking_config", version: "v2", metadata: { name: "cluster-networking-config" }, spec };
}

test("links may be resumed for five minutes over one transport, unless the cluster says otherwise", () => {
  for (const nothing of [undefined, config({})]) {
    assert.deepEqual(linkSettings(nothing), { resumeMs: 300_000, transports: 1 });
  }
  const said = config({ link_resume_window: "90s", link_transports: 4 });
  assert.deepEqual(linkSettings(said), { resumeMs: 90_000, transports: 4 });
  assert.equal(linkSettings(config({ link_resume_window: 0 })).resumeMs, 0);
  assert.equal(linkSettings(config({ link_resume_window: "1000h" })).resumeMs, 86_400_000);
});
