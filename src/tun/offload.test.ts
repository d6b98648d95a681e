import assert from "node:assert/strict";
import { test } from "node:test";
import { feature, negotiateOffload } from "./offload.ts";

const { CSUM, TSO, USO } = feature;

test("the best that kernel and caller agree on: USO, TSO, checksums only, nothing", () => {
  const full = { checksum: true, tso: true, bigTcp: false };
  const checksums = { checksum: true, tso: false, bigTcp: false };
  const none = { checksum: false, tso: false, bigTcp: false };
  for (const [known, most, agreed, offload] of [
    [CSUM | TSO | USO, undefined, CSUM | TSO | USO, full],
    [CSUM | TSO, undefined, CSUM | TSO, full], // before Linux 6.2
    [CSUM, undefined, CSUM, checksums],
    [0n, undefined, 0n, none],
    [CSUM | TSO | USO, checksums, CSUM, checksums],
    [CSUM | TSO | USO, none, 0n, none],
  ] as const) {
    let set: bigint | undefined;
    const accepts = (features: bigint) => {
      if ((features & ~known) !== 0n) return false; // EINVAL
      set = features;
      return true;
    };
    assert.deepEqual(negotiateOffload(accepts, "6.5.13", most), offload);
    assert.equal(set, agreed);
  }
});

test("super-segments beyond 64 KiB go to kernels that take them, where they are wanted", () => {
  for (const [release, taken] of [
    ["5.10.0-28-amd64", false],
    ["6.5.13", false],
    ["6.6.0-rc1", true],
    ["6.18.44-fc", true],
    ["10.0", true],
    ["", false],
  ] as const) {
    assert.equal(negotiateOffload(() => true, release).bigTcp, taken, release);
    assert.equal(negotiateOffload(() => true, release, { checksum: true, tso: true, bigTcp: false }).bigTcp, false);
  }
});
