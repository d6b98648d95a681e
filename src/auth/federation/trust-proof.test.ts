import assert from "node:assert/strict";
import { test } from "node:test";
import { leafProof, rootProof, sameProof } from "./trust-proof.ts";

const TOKEN = "token";
const leaf = { cluster_name: "leaf.test", host_cas: ["leaf CA"], nonce: "00" };
const root = { cluster_name: "root.test", host_cas: ["root CA"], user_cas: ["user CA"], tunnel_addrs: ["p:443"] };

test("a proof holds for what was said, and for nothing else", () => {
  const mac = leafProof(TOKEN, leaf);
  assert.ok(sameProof(mac, leafProof(TOKEN, { ...leaf })));
  const others = [
    leafProof("another", leaf),
    leafProof(TOKEN, { ...leaf, cluster_name: "evil.test" }),
    leafProof(TOKEN, { ...leaf, host_cas: ["evil CA"] }),
    leafProof(TOKEN, { ...leaf, host_cas: ["leaf CA", "evil CA"] }),
    leafProof(TOKEN, { ...leaf, nonce: "01" }),
  ];
  for (const other of others) assert.ok(!sameProof(mac, other));
});

test("the root's proof is of this exchange, and of each thing that it says", () => {
  const mac = leafProof(TOKEN, leaf);
  const proof = rootProof(TOKEN, mac, root);
  assert.ok(sameProof(proof, rootProof(TOKEN, mac, { ...root })));
  const others = [
    rootProof("another", mac, root),
    rootProof(TOKEN, leafProof(TOKEN, { ...leaf, nonce: "01" }), root),
    rootProof(TOKEN, mac, { ...root, host_cas: ["evil CA"] }),
    rootProof(TOKEN, mac, { ...root, user_cas: [] }),
    rootProof(TOKEN, mac, { ...root, host_cas: ["root CA", "user CA"], user_cas: [] }),
    rootProof(TOKEN, mac, { ...root, tunnel_addrs: ["evil:443"] }),
    leafProof(TOKEN, leaf),
  ];
  for (const other of others) assert.ok(!sameProof(proof, other));
});

test("texts of other lengths are no proof", () => {
  assert.ok(!sameProof("", "00"));
  assert.ok(!sameProof("é".repeat(32), "0".repeat(32)));
});
