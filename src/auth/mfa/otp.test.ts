import assert from "node:assert/strict";
import { test } from "node:test";
import { Secret } from "otpauth";
import { matchOtp, newOtpSecret, otpUri } from "./otp.ts";

const SECRET = Secret.fromUTF8("12345678901234567890").base32;

// RFC 6238 appendix B, SHA-1, the last six of eight digits.
const VECTORS: [seconds: number, code: string][] = [
  [59, "287082"],
  [1_111_111_109, "081804"],
  [1_111_111_111, "050471"],
  [1_234_567_890, "005924"],
  [2_000_000_000, "279037"],
  [20_000_000_000, "353130"],
];

test("the codes of RFC 6238 are taken at their time", () => {
  for (const [seconds, code] of VECTORS) {
    const step = Math.floor(seconds / 30);
    assert.equal(matchOtp(SECRET, code, { nowMs: seconds * 1000, lastStep: 0 }), step, code);
  }
});

test("a clock may be off by one step each way, not by two", () => {
  const at = (seconds: number) => matchOtp(SECRET, "050471", { nowMs: seconds * 1000, lastStep: 0 });
  const step = Math.floor(1_111_111_111 / 30);
  assert.deepEqual(
    [-60, -30, 0, 30, 60].map((off) => at(1_111_111_111 + off)),
    [undefined, step, step, step, undefined],
  );
});

test("a code of a step that was used, or of one before it, is worth nothing", () => {
  const step = Math.floor(1_111_111_111 / 30);
  const after = (lastStep: number) => matchOtp(SECRET, "050471", { nowMs: 1_111_111_111_000, lastStep });
  assert.deepEqual([after(step - 1), after(step), after(step + 1)], [step, undefined, undefined]);
});

test("spaces are typed by people; everything else is no code", () => {
  assert.ok(matchOtp(SECRET, " 287 082 ", { nowMs: 59_000, lastStep: 0 }));
  for (const code of ["", "28708", "2870821", "287082x", "²87082", "-87082"]) {
    assert.equal(matchOtp(SECRET, code, { nowMs: 59_000, lastStep: 0 }), undefined, code);
  }
});

test("secrets are 160 bits, new each time, and their address says issuer and user", () => {
  const [a, b] = [newOtpSecret(), newOtpSecret()];
  assert.notEqual(a, b);
  assert.match(a, /^[A-Z2-7]{32}$/);
  const uri = new URL(otpUri(a, { issuer: "root.test", user: "al@ex" }));
  assert.equal(uri.host, "totp");
  assert.equal(decodeURIComponent(uri.pathname), "/root.test:al@ex");
  assert.deepEqual([uri.searchParams.get("secret"), uri.searchParams.get("issuer")], [a, "root.test"]);
});
