import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { silentLogger } from "../base/mod.ts";
import type { HostReport } from "../oscfg/mod.ts";
import { watchHost } from "./watch.ts";

const REPORT: HostReport = { dns: { manager: "file" }, upstreams: ["192.0.2.1"], taken: [], ipv6: true };

/** A host whose report a test changes. */
function fakeHost() {
  const host = {
    current: REPORT,
    mended: 0,
    mends: true,
    answers: true,
    async mend() {
      host.mended++;
      if (!host.mends) throw new Error("a route cannot be made");
    },
    async report() {
      if (!host.answers) throw new Error("the resolver restarts");
      return host.current;
    },
  };
  return host;
}

test("the host is reported at once, and again only when it has changed; each look mends", async () => {
  const host = fakeHost();
  const channel = new PassThrough();
  using watch = watchHost(host, channel, silentLogger);
  await watch.look();
  await watch.look();
  host.current = { ...REPORT, upstreams: ["192.0.2.2"] };
  await watch.look();
  const lines = (await text(channel.end())).trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { report: HostReport }).report.upstreams),
    [["192.0.2.1"], ["192.0.2.2"]],
  );
  assert.equal(host.mended, 4);
});

test("a resolver that fails for a while ends nothing", async () => {
  const host = fakeHost();
  host.answers = false;
  const channel = new PassThrough();
  using watch = watchHost(host, channel, silentLogger);
  await watch.look();
  assert.equal(channel.read(), null);
  host.answers = true;
  await watch.look();
  assert.match(String(channel.read()), /192\.0\.2\.1/);
});

test("what cannot be put back does not keep the report back", async () => {
  const host = fakeHost();
  host.mends = false;
  const channel = new PassThrough();
  using watch = watchHost(host, channel, silentLogger);
  await watch.look();
  assert.match(String(channel.read()), /192\.0\.2\.1/);
});
