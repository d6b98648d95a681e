import assert from "node:assert/strict";
import { test } from "node:test";
import type { CaRotation, CertAuthority } from "../api/mod.ts";
import { silentLogger } from "../base/mod.ts";
import { createCa, generateKeyPair, issueHostCert, type KeyedCert, publicKeyOfCsr } from "../pki/mod.ts";
import { type VirtualClock, virtualClock } from "../testkit/mod.ts";
import { ConnectionLostError, HostKeeper, type HostRecord } from "./mod.ts";

const CLUSTER = "root.test";
const HOST_ID = "5b0f0f1e-9c51-4a3e-8a0c-2a8d7c3c1d11";
const DAY_MS = 86_400_000;

/** A keeper against an Auth and a view that the test plays. */
class Rig {
  readonly clock: VirtualClock = virtualClock();
  readonly stored: HostRecord[] = [];
  readonly calls: string[] = [];
  signer!: KeyedCert;
  keeper!: HostKeeper;
  /** What Auth answers the next renewals with instead. */
  failure: Error | undefined;
  #authority: CertAuthority | undefined;
  #listener: (change: { kind: string }) => void = () => {};
  #answered: () => void = () => {};

  static async start(lifeMs: number): Promise<Rig> {
    const rig = new Rig();
    rig.signer = await createCa({ cluster: CLUSTER, type: "host", now: rig.clock.wallMs() });
    rig.keeper = new HostKeeper({
      record: await rig.#issue(lifeMs),
      client: {
        call: (async (_: string, { csr }: { csr: string }) => rig.#renew(csr, lifeMs)) as never,
        useIdentity: () => rig.calls.push("useIdentity"),
        useTrust: () => rig.calls.push("useTrust"),
      },
      view: {
        list: () => (rig.#authority === undefined ? [] : [rig.#authority]),
        onChange: (listener) => {
          rig.#listener = listener;
          return () => {};
        },
      },
      clock: rig.clock,
      log: silentLogger,
      store: async (record) => void rig.stored.push(record),
    });
    return rig;
  }

  /** The view's news. */
  show(active: KeyedCert, other: KeyedCert | undefined, phase: CaRotation["phase"]): void {
    this.#authority = {
      kind: "cert_authority",
      version: "v2",
      metadata: { name: `host/${CLUSTER}` },
      spec: {
        type: "host",
        cluster_name: CLUSTER,
        active_keys: [{ cert: active.certPem }],
        additional_trusted_keys: other === undefined ? [] : [{ cert: other.certPem }],
        rotation: { state: phase === "standby" ? "standby" : "in_progress", phase },
      },
    };
    this.#listener({ kind: "cert_authority" });
  }

  /** The next renewal has been answered and taken in. */
  async renewal(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#answered = resolve;
    });
    await new Promise((resolve) => setImmediate(resolve));
  }

  async #renew(csr: string, lifeMs: number) {
    try {
      if (this.failure !== undefined) throw this.failure;
      const key = await publicKeyOfCsr(csr);
      assert.ok("publicKeyPem" in key);
      const { certPem, hostCas } = await this.#issue(lifeMs, key.publicKeyPem);
      return { cert: certPem, cluster_name: CLUSTER, host_cas: hostCas, user_cas: [] };
    } finally {
      setImmediate(() => this.#answered());
    }
  }

  async #issue(lifeMs: number, publicKeyPem?: string): Promise<HostRecord> {
    const keys = await generateKeyPair();
    const now = this.clock.wallMs();
    const certPem = await issueHostCert({
      ca: this.signer,
      cluster: CLUSTER,
      hostId: HOST_ID,
      roles: ["App"],
      publicKeyPem: publicKeyPem ?? keys.publicKeyPem,
      now,
      expires: now + lifeMs,
    });
    const hostCas = [this.signer.certPem];
    return { hostId: HOST_ID, cluster: CLUSTER, certPem, keyPem: keys.keyPem, hostCas, userCas: [] };
  }
}

test("a host's certificate is renewed at half its life, with a new key, and stored", async () => {
  const rig = await Rig.start(10 * DAY_MS);
  const { certPem, keyPem } = rig.keeper.record;
  let told = 0;
  rig.keeper.onChange(() => told++);
  rig.clock.advance(4 * DAY_MS);
  assert.equal(rig.keeper.record.certPem, certPem, "not before");
  rig.clock.advance(DAY_MS);
  await rig.renewal();
  assert.notEqual(rig.keeper.record.certPem, certPem);
  assert.notEqual(rig.keeper.record.keyPem, keyPem);
  assert.deepEqual(rig.stored, [rig.keeper.record]);
  assert.deepEqual([told, rig.calls], [1, ["useTrust", "useIdentity"]]);
  await rig.keeper.close();
});

test("while Auth is away the renewal is tried again, and the old certificate serves on", async () => {
  const rig = await Rig.start(10 * DAY_MS);
  const { certPem } = rig.keeper.record;
  rig.failure = new ConnectionLostError("away");
  rig.clock.advance(5 * DAY_MS);
  await rig.renewal();
  for (let i = 0; i < 3; i++) {
    assert.ok(rig.clock.step());
    await rig.renewal();
  }
  assert.equal(rig.keeper.record.certPem, certPem);
  rig.failure = undefined;
  rig.clock.step();
  await rig.renewal();
  assert.notEqual(rig.keeper.record.certPem, certPem);
  await rig.keeper.close();
});

test("a rotation: trust follows at once, the certificate when it comes to the servers, and back in a rollback", async () => {
  const rig = await Rig.start(10 * DAY_MS);
  const former = rig.signer;
  const next = await createCa({ cluster: CLUSTER, type: "host", now: rig.clock.wallMs() });
  const { certPem } = rig.keeper.record;
  rig.show(former, next, "init");
  assert.deepEqual(rig.keeper.record.hostCas, [former.certPem, next.certPem]);
  rig.signer = next;
  rig.show(next, former, "update_clients");
  assert.equal(rig.keeper.record.certPem, certPem, "servers come later");
  rig.show(next, former, "update_servers");
  await rig.renewal();
  const renewed = rig.keeper.record.certPem;
  assert.notEqual(renewed, certPem);
  rig.signer = former;
  rig.show(former, next, "rollback");
  await rig.renewal();
  assert.notEqual(rig.keeper.record.certPem, renewed);
  assert.deepEqual(rig.stored.at(-1), rig.keeper.record);
  await rig.keeper.close();
});
