import assert from "node:assert/strict";
import { test } from "node:test";
import { Counters, isMalformed, silentLogger } from "../base/mod.ts";
import { verifyChain } from "../pki/mod.ts";
import { virtualClock } from "../testkit/mod.ts";
import { CarrierTrust } from "./carrier-trust.ts";
import { CARRIER_TRUST_SWEEP_MS } from "./limits.ts";
import { TestAuthority } from "./path-harness.ts";

const HOUR_MS = 3_600_000;

async function setUp() {
  const clock = virtualClock({ wallMs: Date.now() });
  const counters = new Counters();
  const former = await TestAuthority.create();
  const present = await TestAuthority.create();
  const state = { userCas: [former.userCa.certPem], given: [] as string[] };
  const trust = new CarrierTrust({ clock, counters, log: silentLogger, userCas: () => state.userCas });
  const watch = async (name: string, authority: TestAuthority, expires: number) => {
    const { certPem } = await authority.session([], { expires });
    const identity = verifyChain(certPem, [authority.userCa.certPem], Date.now());
    assert.ok(!isMalformed(identity));
    const carrier = {
      closed: () => {},
      once(_event: string, listener: () => void) {
        carrier.closed = listener;
        return carrier as never;
      },
      destroy(error?: Error) {
        state.given.push(`${name}: ${error?.message}`);
        carrier.closed();
        return carrier as never;
      },
    };
    trust.watch(carrier, Buffer.from(certPem), identity);
    return carrier;
  };
  return { clock, counters, former, present, state, trust, watch };
}

test("a carrier is given up when its certificate has expired, and no sooner", async () => {
  const { clock, counters, former, state, watch } = await setUp();
  await watch("short", former, clock.wallMs() + HOUR_MS);
  await watch("long", former, clock.wallMs() + 2 * HOUR_MS);
  clock.advance(HOUR_MS - 2 * CARRIER_TRUST_SWEEP_MS);
  assert.deepEqual(state.given, []);
  clock.advance(3 * CARRIER_TRUST_SWEEP_MS);
  assert.deepEqual(state.given, ["short: its certificate has expired"]);
  assert.equal(counters.get("link.outdated-carrier"), 1);
});

test("a carrier is given up when its authority is not trusted any more, one of a newer authority is not", async () => {
  const { clock, former, present, state, watch } = await setUp();
  await watch("old", former, clock.wallMs() + HOUR_MS);
  state.userCas = [present.userCa.certPem, former.userCa.certPem];
  await watch("new", present, clock.wallMs() + HOUR_MS);
  clock.advance(2 * CARRIER_TRUST_SWEEP_MS);
  assert.deepEqual(state.given, []);
  state.userCas = [present.userCa.certPem];
  clock.advance(CARRIER_TRUST_SWEEP_MS);
  assert.deepEqual(state.given, ["old: the authority of its certificate is not trusted any more"]);
});

test("nothing is looked for without carriers, or after the end", async () => {
  const { clock, former, state, trust, watch } = await setUp();
  const carrier = await watch("gone", former, clock.wallMs() + HOUR_MS);
  carrier.closed();
  clock.advance(CARRIER_TRUST_SWEEP_MS);
  assert.equal(clock.pending, 0);
  await watch("left", former, clock.wallMs() + HOUR_MS);
  trust.close();
  clock.advance(2 * HOUR_MS);
  assert.deepEqual(state.given, []);
});
