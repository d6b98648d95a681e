import assert from "node:assert/strict";
import { test } from "node:test";
import { feature, negotiateOffload } from "./offload.ts";

const { CSUM, TSO, USO } = feature;

test("the best that kernel and caller agree on: USO, TSO, checksums only, nothing", () => {
  for (const [known, most, agreed, offload] of [
    [CSUM | TSO | USO, undefined, CSUM | TSO | USO, { checksum: true, tso: true }],
    [CSUM | TSO, undefined, CSUM | TSO, { checksum: true, tso: true }], // before Linux 6.2
    [CSUM, undefined, CSUM, { checksum: true, tso: false }],
    [0n, undefined, 0n, { checksum: false, tso: false }],
    [CSUM | TSO | USO, { checksum: true, tso: false }, CSUM, { checksum: true, tso: false }],
    [CSUM | TSO | USO, { checksum: false, tso: false }, 0n, { checksum: false, tso: false }],
  ] as const) {
    let set: bigint | undefined;
    const accepts = (features: bigint) => {
      if ((features & ~known) !== 0n) return false; // EINVAL
      set = features;
      return true;
    };
    assert.deepEqual(negotiateOffload(accepts, most), offload);
    assert.equal(set, agreed);
  }
});
