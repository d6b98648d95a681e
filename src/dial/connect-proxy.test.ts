import assert from "node:assert/strict";
import { test } from "node:test";
import { connectProxyOf } from "./connect-proxy.ts";
import { ConnectProxySettingError } from "./errors.ts";

const basic = (pair: string) => `Basic ${Buffer.from(pair).toString("base64")}`;

test("HTTPS_PROXY names host, port, kind and credentials", () => {
  const cases: [string, string, number, boolean, string | undefined][] = [
    ["http://proxy.corp:3128", "proxy.corp", 3128, false, undefined],
    ["proxy.corp:3128", "proxy.corp", 3128, false, undefined],
    ["http://proxy.corp", "proxy.corp", 80, false, undefined],
    ["http://proxy.corp/", "proxy.corp", 80, false, undefined],
    ["https://proxy.corp", "proxy.corp", 443, true, undefined],
    ["http://[2001:db8::1]:8080", "2001:db8::1", 8080, false, undefined],
    ["http://alice:secret@proxy.corp:3128", "proxy.corp", 3128, false, basic("alice:secret")],
    ["alice:p%40ss%3A@proxy.corp:3128", "proxy.corp", 3128, false, basic("alice:p@ss:")],
    ["http://t%C3%B6m@proxy.corp", "proxy.corp", 80, false, basic("töm:")],
  ];
  for (const [text, host, port, secure, authorization] of cases) {
    const { exempt: _, ...proxy } = connectProxyOf(text);
    assert.deepEqual(proxy, { host, port, secure, authorization }, text);
  }
});

test("what is no proxy's address is refused with the form that is wanted, and never quoted", () => {
  for (const text of ["http://", "socks5://proxy.corp:1080", "http://a b", "http://u:secret%@h:1", "http://h:99999"]) {
    assert.throws(
      () => connectProxyOf(text),
      (error: unknown) =>
        error instanceof ConnectProxySettingError &&
        /expected http:\/\/HOST:PORT/.test(error.message) &&
        !error.message.includes("secret"),
      text,
    );
  }
});
