import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectProxySettingError } from "./errors.ts";
import { MAX_NO_PROXY } from "./limits.ts";
import { exemptBy } from "./no-proxy.ts";

/** NO_PROXY, what is exempt by it, what is not. */
const CASES: readonly [string, readonly string[], readonly string[]][] = [
  ["", ["localhost:1", "127.9.9.9:1", "::1:1"], ["example.com:443", "10.0.0.1:443", "localhost.example.com:1"]],
  ["example.com", ["example.com:443", "a.b.EXAMPLE.com:1", "example.com.:1"], ["notexample.com:443", "example.org:1"]],
  [".example.com", ["a.example.com:1"], ["example.com:443"]],
  ["*.example.com", ["a.example.com:1"], ["example.com:443"]],
  ["example.com:443", ["example.com:443", "a.example.com:443"], ["example.com:3080"]],
  ["*", ["example.com:443", "10.0.0.1:1", "2001:db8::1:1"], []],
  ["10.1.2.3", ["10.1.2.3:443"], ["10.1.2.4:443", "110.1.2.3:443"]],
  ["10.1.2.3:443", ["10.1.2.3:443"], ["10.1.2.3:444"]],
  ["10.0.0.0/8", ["10.9.9.9:443"], ["11.0.0.1:443", "example.com:443"]],
  ["2001:db8::1", ["2001:db8:0::1:443"], ["2001:db8::2:443"]],
  ["[2001:db8::1]:443", ["2001:db8::1:443"], ["2001:db8::1:444"]],
  ["2001:db8::/32", ["2001:db8:ffff::1:1"], ["2001:db9::1:1"]],
  [" a.test , b.test\tc.test,,", ["a.test:1", "b.test:1", "c.test:1"], ["d.test:1"]],
  ["a.test.", ["a.test:1"], ["b.test:1"]],
  [":443,/8,[,10.0.0.0/99,%", [], ["example.com:443", "10.0.0.1:443"]],
];

for (const [noProxy, exempt, others] of CASES) {
  test(`NO_PROXY=${JSON.stringify(noProxy)}`, () => {
    const isExempt = exemptBy(noProxy);
    const target = (text: string) => {
      const at = text.lastIndexOf(":");
      return { host: text.slice(0, at), port: Number(text.slice(at + 1)) };
    };
    for (const text of exempt) assert.equal(isExempt(target(text)), true, text);
    for (const text of others) assert.equal(isExempt(target(text)), false, text);
  });
}

test("NO_PROXY is not endless", () => {
  exemptBy(Array.from({ length: MAX_NO_PROXY }, (_, i) => `a${i}`).join());
  assert.throws(
    () => exemptBy(Array.from({ length: MAX_NO_PROXY + 1 }, (_, i) => `a${i}`).join()),
    ConnectProxySettingError,
  );
});
