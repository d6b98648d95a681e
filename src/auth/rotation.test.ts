import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { afterEach, test } from "node:test";
import { AccessDeniedError, BadInputError, type RotationPhase, UnauthenticatedError } from "../api/mod.ts";
import { isMalformed } from "../base/mod.ts";
import { createCsr, generateKeyPair, identityOf, spkiPin, verifyChain } from "../pki/mod.ts";
import { fetchTrust, joinCluster, RpcClient, type RpcClientOptions } from "../rpc/mod.ts";
import { type VirtualClock, virtualClock } from "../testkit/mod.ts";
import { CLUSTER, PASSWORD, TestAuth } from "./test-auth.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TOKEN = "static-token-of-the-test";

let auth: TestAuth;
afterEach(() => auth?.close());

async function startAuth(): Promise<VirtualClock> {
  const clock = virtualClock({ wallMs: Date.now() - 60 * DAY_MS });
  auth = await TestAuth.start({ staticTokens: [{ token: TOKEN, roles: ["App"] }] }, clock);
  return clock;
}

async function step(type: "host" | "user", ...phases: RotationPhase[]): Promise<void> {
  const admin = await adminNow();
  for (const phase of phases) {
    const { phase: now } = await admin.call("authority.rotate", { type, phase, mode: "manual" });
    assert.equal(now, phase);
  }
}

/** The identity file and the trust of this moment. */
async function adminNow(): Promise<RpcClient> {
  auth.hostCas = (await fetchTrust({ dial: auth.dial })).hostCas;
  return auth.admin();
}

async function pins(): Promise<string[]> {
  return (await (await adminNow()).call("cluster.status", {})).ca_pins;
}

/** The signing one first. */
async function userCas(): Promise<string[]> {
  const name = `user/${CLUSTER}`;
  const { resource } = await (await adminNow()).call("resource.get", { kind: "cert_authority", name });
  assert.ok(resource.kind === "cert_authority");
  return [...resource.spec.active_keys, ...resource.spec.additional_trusted_keys].map(({ cert }) => cert);
}

function join(pin: string) {
  const hostId = randomUUID();
  return joinCluster({ dial: auth.dial, pins: [pin], token: TOKEN, roles: ["App"], hostId, nodeName: "n" });
}

/** With the trust of another time. */
function clientThen(o: Omit<RpcClientOptions, "dial">): RpcClient {
  return new RpcClient({ dial: auth.dial, ...o });
}

test("a host rotation: both pins meanwhile, joins by either, former certificates until the end", async () => {
  await startAuth();
  const [first] = await pins();
  const early = await join(first!);
  const asEarly = clientThen({ trust: early, identity: early });
  await step("host", "init");
  for (const phase of ["update_clients", "update_servers"] as const) {
    const both = await pins();
    assert.equal(both.length, 2);
    for (const pin of both) {
      const joined = await join(pin);
      await using client = clientThen({ trust: joined, identity: joined });
      await client.call("resource.list", { kind: "proxy" });
      assert.deepEqual(joined.hostCas.map(spkiPin).sort(), [...both].sort());
    }
    await asEarly.call("resource.list", { kind: "proxy" });
    await step("host", phase);
  }
  const answer = await asEarly.call("host.renew", { csr: await createCsr(await generateKeyPair()) });
  assert.equal(answer.host_cas.length, 2);
  const watch = asEarly.watch(["proxy"]);
  assert.equal((await watch.next()).value?.type, "init");

  await step("host", "standby");
  const [last, ...none] = await pins();
  assert.deepEqual(none, []);
  assert.notEqual(last, first);
  await assert.rejects(watch.next(), "open connections by the former certificate are ended");
  await assert.rejects(asEarly.call("resource.list", { kind: "proxy" }), UnauthenticatedError);
  await assert.rejects(join(first!), /does not have the CA pin/);
  await asEarly.close();
});

test("the status names the hosts that have not renewed yet", async () => {
  await startAuth();
  const [pin] = await pins();
  const identity = await join(pin!);
  const host = clientThen({ trust: identity, identity });
  const watch = host.watch(["proxy"]);
  await watch.next();
  const behind = async () => (await (await adminNow()).call("cluster.status", {})).authorities[0]?.behind;
  await step("host", "init", "update_clients");
  assert.equal(await behind(), undefined, "it is not their turn yet");
  await step("host", "update_servers");
  assert.deepEqual(await behind(), [hostIdOf(identity.certPem)]);
  const keys = await generateKeyPair();
  const { cert: certPem } = await host.call("host.renew", { csr: await createCsr(keys) });
  host.useTrust(await fetchTrust({ dial: auth.dial }));
  host.useIdentity({ certPem, keyPem: keys.keyPem });
  await assert.rejects(watch.next(), "the watch does not stay behind on the old connection");
  await host.call("resource.list", { kind: "proxy" });
  assert.deepEqual(await behind(), []);
  await host.close();
});

function hostIdOf(certPem: string): string {
  const identity = identityOf(certPem);
  assert.ok("kind" in identity && identity.kind === "host");
  return identity.hostId;
}

test("who knows only the former authority is led to the present one by what that one vouched for", async () => {
  await startAuth();
  await auth.createUser("alice", ["access"]);
  const before = (await fetchTrust({ dial: auth.dial })).hostCas;
  await step("host", "init", "update_clients", "update_servers", "standby");
  await step("host", "init", "update_clients", "update_servers", "standby");
  await using old = clientThen({ trust: { cluster: CLUSTER, hostCas: before } });
  const csr = await createCsr(await generateKeyPair());
  const { login } = await old.call("login.password", { user: "alice", password: PASSWORD, csr });
  const now = await fetchTrust({ dial: auth.dial });
  assert.deepEqual(login?.host_cas, now.hostCas);
  assert.notDeepEqual(login?.host_cas, before);
  assert.equal(login?.generation, now.generation);
});

test("a user rotation: who logged in before works until the last phase, and then logs in again", async () => {
  await startAuth();
  await auth.createUser("alice", ["access"]);
  const before = await auth.login("alice");
  await step("user", "init", "update_clients");
  const during = await auth.login("alice");
  const [signing] = await userCas();
  assert.ok(isMalformed(verifyChain(before.certPem, [signing!], auth.clock.wallMs())));
  assert.ok(!isMalformed(verifyChain(during.certPem, [signing!], auth.clock.wallMs())));
  await before.call("resource.list", { kind: "app_server" });
  await step("user", "update_servers");
  await before.call("resource.list", { kind: "app_server" });
  await step("user", "standby");
  await assert.rejects(before.call("resource.list", { kind: "app_server" }), /log in again/);
  await during.call("resource.list", { kind: "app_server" });
});

test("a rollback ends with the former key, and hosts that had renewed renew again", async () => {
  await startAuth();
  const [first] = await pins();
  await step("host", "init", "update_clients", "update_servers");
  const joined = await join(first!);
  await step("host", "rollback");
  await using client = clientThen({ trust: joined, identity: joined });
  const answer = await client.call("host.renew", { csr: await createCsr(await generateKeyPair()) });
  assert.equal(spkiPin(answer.host_cas[0]!), first, "the former key signs");
  await step("host", "standby");
  assert.deepEqual(await pins(), [first]);
  await assert.rejects(client.call("resource.list", { kind: "proxy" }), UnauthenticatedError);
});

test("phases come in their order only, one rotation at a time, and only for who may", async () => {
  await startAuth();
  await auth.createUser("ed", ["editor"]);
  const ed = await auth.login("ed");
  await assert.rejects(ed.call("authority.rotate", { type: "host", phase: "init" }), AccessDeniedError);
  await assert.rejects(step("host", "update_clients"), /phase update_clients does not follow standby/);
  await step("host", "init");
  await assert.rejects(step("host", "init"), /a rotation is in progress \(phase init\)/);
  await assert.rejects(step("host", "standby"), /what follows is update_clients or rollback/);
  await step("user", "init", "rollback", "standby");
  await step("host", "update_clients", "update_servers", "standby");
  const events = await auth.events("cert_authority.rotate");
  assert.ok(events.every((event) => event.code === "TCA001I" && event.user === "admin" && event.mode !== "auto"));
  assert.deepEqual(
    events.map((event) => `${event.ca_type} ${event.phase}`),
    [
      "host init",
      "user init",
      "user rollback",
      "user standby",
      "host update_clients",
      "host update_servers",
      "host standby",
    ],
  );
});

test("an automatic rotation gives each phase a third of the grace period, also over a restart", async () => {
  const clock = await startAuth();
  const admin = await adminNow();
  await admin.call("authority.rotate", { type: "host", grace_seconds: 30 * 3_600 });
  const [shown] = (await admin.call("cluster.status", {})).authorities;
  const begun = clock.wallMs();
  const hours = Object.entries(shown!.rotation!.schedule!).map(([phase, at]) => [
    phase,
    (Date.parse(at ?? "") - begun) / HOUR_MS,
  ]);
  assert.deepEqual(hours, [
    ["update_clients", 10],
    ["update_servers", 20],
    ["standby", 30],
  ]);

  await passes(clock, 10 * HOUR_MS - 1, "init");
  await passes(clock, 1, "update_clients");
  await auth.restart(); // In mid-rotation: the state is in storage.
  await passes(clock, 10 * HOUR_MS - 1, "update_clients");
  await passes(clock, 1, "update_servers");
  await auth.service.close();
  clock.advance(5 * DAY_MS); // Auth was away: what comes late is not made up for in haste.
  await auth.restart();
  await passes(clock, 0, "standby");
  await auth.service.close();
  const [event] = (await auth.events("cert_authority.rotate")).slice(-1);
  assert.deepEqual([event?.phase, event?.user_kind], ["standby", "system"]);
});

test("a crash between a step and what is shown of it is mended by the next start", async () => {
  await startAuth();
  const key = `/resource/cert_authority/${encodeURIComponent(`host/${CLUSTER}`)}`;
  const shown = async () => {
    const name = `host/${CLUSTER}`;
    const { resource } = await (await adminNow()).call("resource.get", { kind: "cert_authority", name });
    assert.ok(resource.kind === "cert_authority");
    return [resource.spec.rotation?.phase, resource.spec.additional_trusted_keys.length];
  };
  const before = (await auth.backend.get(key))!.value;
  await step("host", "init");
  await auth.service.close();
  await auth.backend.put(key, before); // As if it had not come so far.
  await auth.restart();
  assert.deepEqual(await shown(), ["init", 1]);
});

test("a grace period too short to renew in is refused", async () => {
  await startAuth();
  const admin = await adminNow();
  await assert.rejects(admin.call("authority.rotate", { type: "user", grace_seconds: 60 }), BadInputError);
});

/** Time moves; then the host authority is in `phase`, as soon as the step's writes are done. */
async function passes(clock: VirtualClock, ms: number, phase: RotationPhase): Promise<void> {
  clock.advance(ms);
  await new Promise((resolve) => setImmediate(resolve));
  for (let turn = 0; turn < 1000; turn++) {
    const { authorities } = await (await adminNow()).call("cluster.status", {});
    const now = authorities.find(({ type }) => type === "host")?.rotation?.phase ?? "standby";
    if (now === phase) return;
  }
  assert.fail(`the phase is not ${phase}`);
}
