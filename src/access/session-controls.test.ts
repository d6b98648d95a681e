import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ClusterAuthPreference,
  type ClusterNetworkingConfig,
  parseValue,
  type Role,
  roleSchema,
} from "../api/mod.ts";
import { sessionControls } from "./mod.ts";

function role(options: Record<string, unknown>): Role {
  return parseValue(roleSchema, { kind: "role", version: "v7", metadata: { name: "r" }, spec: { options } });
}

const STRICT: ClusterAuthPreference = {
  kind: "cluster_auth_preference",
  version: "v2",
  metadata: { name: "cluster-auth-preference" },
  spec: { locking_mode: "strict" },
};

test("of several roles the strictest word counts; nothing said is no bound", () => {
  for (const [options, expected] of [
    [[], {}],
    [[{}], {}],
    [[{ client_idle_timeout: "30m" }, { client_idle_timeout: "5m" }, {}], { idleTimeoutMs: 300_000 }],
    [[{ client_idle_timeout: "never" }, { client_idle_timeout: 0 }, { client_idle_timeout: "0s" }], {}],
    [[{ client_idle_timeout: "never" }, { client_idle_timeout: "1h" }], { idleTimeoutMs: 3_600_000 }],
    [[{ max_connections: 0 }, { max_connections: 7 }, { max_connections: 3 }], { maxConnections: 3 }],
    [[{ lock: "best_effort" }, { lock: "strict" }], { strictLocks: true }],
    [[{ require_session_mfa: false }, { require_session_mfa: "no" }, { require_session_mfa: "off" }], {}],
    [[{}, { require_session_mfa: true }], { requireMfa: true }],
    [[{ require_session_mfa: "yes" }, { require_session_mfa: false }], { requireMfa: true }],
    [[{ lock: "best_effort", disconnect_expired_cert: "yes" }], {}],
  ] as const) {
    const controls = sessionControls(options.map(role), undefined);
    assert.deepEqual(controls, { strictLocks: false, requireMfa: false, ...expected }, JSON.stringify(options));
  }
});

test("what the cluster asks of each session holds for every role", () => {
  const preference = { ...STRICT, spec: { require_session_mfa: true } };
  assert.equal(sessionControls([role({ require_session_mfa: false })], preference).requireMfa, true);
});

test("strict for the cluster is strict for every role", () => {
  assert.equal(sessionControls([role({ lock: "best_effort" })], STRICT).strictLocks, true);
  assert.equal(sessionControls([], STRICT).strictLocks, true);
});

test("the cluster's idle timeout holds where roles say nothing, or more", () => {
  const networking = (client_idle_timeout: string): ClusterNetworkingConfig => ({
    kind: "cluster_networking_config",
    version: "v2",
    metadata: { name: "cluster-networking-config" },
    spec: { client_idle_timeout },
  });
  for (const [ofCluster, ofRole, expected] of [
    ["10m", {}, 600_000],
    ["10m", { client_idle_timeout: "5m" }, 300_000],
    ["10m", { client_idle_timeout: "never" }, 600_000],
    ["never", { client_idle_timeout: "5m" }, 300_000],
    ["0s", {}, undefined],
  ] as const) {
    assert.equal(sessionControls([role(ofRole)], undefined, networking(ofCluster)).idleTimeoutMs, expected, ofCluster);
  }
});

test("what is not a bound is refused", () => {
  assert.throws(() => role({ client_idle_timeout: "soon" }), /expected a duration/);
  assert.throws(() => role({ max_connections: -1 }));
  assert.throws(() => role({ lock: "never" }));
});
