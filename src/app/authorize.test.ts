import assert from "node:assert/strict";
import { test } from "node:test";
import type { App, AppSession, ClusterAuthPreference, Lock, Role, RoleMap } from "../api/mod.ts";
import type { AppIdentity } from "../pki/mod.ts";
import { authorize, type Knowledge } from "./authorize.ts";

const SESSION = "0123456789abcdef0123456789abcdef";
const NOW = Date.parse("2026-06-01T12:00:00Z");

const APP: App = {
  kind: "app",
  version: "v3",
  metadata: { name: "tcp-app", labels: { env: "dev" } },
  spec: { uri: "tcp://localhost:5432", public_addr: "tcp-app.company.test" },
};

const IDENTITY: AppIdentity = {
  kind: "app",
  cluster: "example.com",
  user: "alice",
  roles: ["access"],
  traits: {},
  expires: NOW + 60_000,
  route: { app: "tcp-app", publicAddr: "tcp-app.company.test", cluster: "example.com", sessionId: SESSION },
};

/** A root cluster whose users with the role `dev` are worth `access` here. */
const ROOT = "root.test";
const TRUST: RoleMap = [{ remote: "dev", local: ["access"] }];
const REMOTE = { cluster: ROOT, roles: ["dev"] };

const STRICT: ClusterAuthPreference = {
  kind: "cluster_auth_preference",
  version: "v2",
  metadata: { name: "cluster-auth-preference" },
  spec: { locking_mode: "strict" },
};

function lock(target: Lock["spec"]["target"]): Lock {
  return { kind: "lock", version: "v2", metadata: { name: "l" }, spec: { target, message: "why" } };
}

function session(spec: Partial<AppSession["spec"]> = {}): AppSession {
  return {
    kind: "app_session",
    version: "v1",
    metadata: { name: SESSION },
    spec: {
      user: "alice",
      app: "tcp-app",
      public_addr: "tcp-app.company.test",
      cluster: "example.com",
      expires: new Date(NOW + 60_000).toISOString(),
      ...spec,
    },
  };
}

function role(name: string, appLabels: Record<string, string>, deny: Record<string, string> = {}): Role {
  return {
    kind: "role",
    version: "v7",
    metadata: { name },
    spec: { allow: { app_labels: appLabels }, deny: { app_labels: deny } },
  } as Role;
}

function decide(
  o: {
    identity?: Partial<AppIdentity>;
    app?: App | null;
    roles?: Role[];
    session?: AppSession | null;
    locks?: Lock[];
    staleMs?: number;
    strict?: boolean;
    trust?: RoleMap | null;
  } = {},
) {
  const roles = o.roles ?? [role("access", { "*": "*" })];
  const known: Knowledge = {
    cluster: "example.com",
    hostId: "h1",
    now: NOW,
    locks: o.locks ?? [],
    preference: o.strict ? STRICT : undefined,
    staleMs: o.staleMs ?? 0,
    app: (name) => (name === "tcp-app" && o.app !== null ? (o.app ?? APP) : undefined),
    role: (name) => roles.find(({ metadata }) => metadata.name === name),
    roleMap: (root) => (root === ROOT && o.trust !== null ? (o.trust ?? TRUST) : undefined),
    session: (id) => (id === SESSION && o.session !== null ? (o.session ?? session()) : undefined),
  };
  return authorize({ ...IDENTITY, ...o.identity }, known);
}

test("the holder of a session and a matching role is let in", () => {
  assert.equal(decide(), undefined);
  assert.equal(decide({ roles: [role("access", { env: "dev" })] }), undefined);
});

test("everything that does not fit is refused, with its reason", () => {
  const route = IDENTITY.route;
  for (const [name, o, code, message] of [
    ["a foreign cluster's authority", { identity: { cluster: "leaf" } }, "access-denied", /does not trust the users/],
    ["another cluster's route", { identity: { route: { ...route, cluster: "leaf" } } }, "access-denied", /belongs to/],
    ["no session", { session: null }, "session-ended", /ended/],
    ["an expired session", { session: session({ expires: new Date(NOW).toISOString() }) }, "session-ended", /ended/],
    ["another user's session", { session: session({ user: "bob" }) }, "access-denied", /not this session's/],
    ["another app's session", { session: session({ app: "other" }) }, "access-denied", /not this session's/],
    ["an app not served here", { app: null }, "access-denied", /does not serve/],
    [
      "an address that the app has left",
      { app: { ...APP, spec: { ...APP.spec, public_addr: "new.company.test" } } },
      "access-denied",
      /no longer at tcp-app/,
    ],
    ["a web app", { app: { ...APP, spec: { ...APP.spec, uri: "http://localhost" } } }, "access-denied", /web app/],
    ["a role without the label", { roles: [role("access", { env: "prod" })] }, "access-denied", /^your roles do not/],
    [
      "a denied label",
      { roles: [role("access", { "*": "*" }, { env: "dev" })] },
      "access-denied",
      /^your roles do not/,
    ],
    ["a role that is gone", { roles: [] }, "access-denied", /role/],
    ["no role at all", { identity: { roles: [] } }, "access-denied", /./],
    ["one of two roles gone", { identity: { roles: ["access", "deny-all"] } }, "access-denied", /role/],
  ] as const) {
    const refusal = decide(o as Parameters<typeof decide>[0]);
    assert.equal(refusal?.code, code, name);
    assert.match(refusal?.message ?? "", message, name);
  }
});

test("a root's user is worth what the role map says, by a session of that root", () => {
  const ofRoot = session({ root: ROOT });
  assert.equal(decide({ identity: REMOTE, session: ofRoot }), undefined);
  for (const [name, o, message] of [
    ["a trust that is no more", { trust: null }, /does not trust the users of cluster root.test/],
    ["a role that is worth nothing", { trust: [{ remote: "ops", local: ["access"] }] }, /^your roles do not/],
    ["a role of the same name at home", { identity: { ...REMOTE, roles: ["access"] } }, /^your roles do not/],
    ["a role that is missing here", { trust: [{ remote: "dev", local: ["gone"] }] }, /role/],
    ["this cluster's own session", { session: session() }, /not this session's/],
    ["another root's session", { session: session({ root: "other.test" }) }, /not this session's/],
    ["a lock on the user", { locks: [lock({ user: "remote-alice-root.test" })] }, /^lock targeting User/],
    ["a lock on the role here", { locks: [lock({ role: "access" })] }, /^lock targeting Role/],
  ] as const) {
    const refusal = decide({ identity: REMOTE, session: ofRoot, ...o } as Parameters<typeof decide>[0]);
    assert.equal(refusal?.code, "access-denied", name);
    assert.match(refusal?.message ?? "", message, name);
  }
  const namesake = { identity: REMOTE, session: ofRoot, locks: [lock({ user: "alice" }), lock({ role: "dev" })] };
  assert.equal(decide(namesake), undefined, "locks name users and roles of this cluster");
  assert.match(decide({ session: ofRoot })?.message ?? "", /not this session's/, "a local user of that name");
});

test("a lock on the user, a role, the app or this agent refuses, and says why", () => {
  for (const target of [{ user: "alice" }, { role: "access" }, { app: "tcp-app" }, { server_id: "h1" }]) {
    const denial = decide({ locks: [lock(target)] });
    assert.equal(denial?.code, "access-denied", JSON.stringify(target));
    assert.match(denial?.message ?? "", /^lock targeting .* is in force: why$/);
  }
  assert.equal(decide({ locks: [lock({ user: "bob" }), lock({ server_id: "h2" })] }), undefined);
});

test("with an old view, strict lets nobody in and best_effort goes by what it knows", () => {
  const strictRole = role("access", { "*": "*" });
  const roles = [{ ...strictRole, spec: { ...strictRole.spec, options: { lock: "strict" as const } } }];
  assert.equal(decide({ staleMs: 3_600_000 }), undefined);
  assert.match(decide({ staleMs: 60_001, strict: true })?.message ?? "", /strict/);
  assert.match(decide({ staleMs: 60_001, roles })?.message ?? "", /strict/);
  assert.equal(decide({ staleMs: 60_000, strict: true }), undefined, "a minute's grace");
});

test("where each session needs a second factor, a certificate without one is refused here too", () => {
  const strict = { ...role("access", { "*": "*" }) };
  strict.spec = { ...strict.spec, options: { require_session_mfa: true } };
  assert.match(decide({ roles: [strict] })?.message ?? "", /needs a second factor for each session/);
  assert.equal(decide({ roles: [strict], identity: { mfaDevice: "d1" } }), undefined);
  const locks = [lock({ mfa_device: "d1" })];
  assert.match(decide({ identity: { mfaDevice: "d1" }, locks })?.message ?? "", /MFADevice:"d1"/);
  assert.equal(decide({ identity: { mfaDevice: "d2" }, locks }), undefined);
});
