import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { OsCommandError } from "./errors.ts";
import { Resolvconf } from "./resolvconf.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "vnet-resolvconf-"));
  mkdirSync(join(dir, "records"));
  writeFileSync(join(dir, "records", "eth0.dhcp"), "nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
  writeFileSync(join(dir, "resolv.conf"), "nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
});
afterEach(() => rmSync(dir, { recursive: true }));

const WANTED = { device: "vnet0", servers: ["100.64.0.2", "fd12::2"], zones: ["company.test"], ranges: [] };

/** A host's `resolvconf`; what it makes of a call is `result`. */
function resolvconf(manager: "openresolv" | "resolvconf", result: (args: string[]) => string) {
  const calls: string[] = [];
  const run = async (args: readonly string[], input: string) => {
    calls.push(`${args.join(" ")} <${input.trim()}`);
    if (input !== "") writeFileSync(join(dir, "records", args.at(-1)!), input);
    else rmSync(join(dir, "records", args.at(-1)!));
    writeFileSync(join(dir, "resolv.conf"), result([...args]));
  };
  return {
    calls,
    resolver: new Resolvconf(manager, run, join(dir, "resolv.conf"), [join(dir, "none"), join(dir, "records")]),
  };
}

test("openresolv: VNet's server alone, the others from what the interfaces said", async () => {
  const { calls, resolver } = resolvconf("openresolv", () => "nameserver 100.64.0.2\n");
  assert.deepEqual(await resolver.upstreams(), ["192.0.2.1", "192.0.2.2"]);
  assert.equal(await resolver.isApplied(WANTED), false);
  await resolver.apply(WANTED);
  assert.equal(await resolver.isApplied(WANTED), true);
  writeFileSync(join(dir, "records", "eth0.dhcp"), "nameserver 198.51.100.9\n"); // a new lease
  assert.deepEqual(await resolver.upstreams(), ["198.51.100.9"]);
  await resolver.revert();
  assert.deepEqual(calls, ["-m 0 -x -a tsh-vnet <nameserver 100.64.0.2", "-f -d tsh-vnet <"]);
});

test("Debian's resolvconf: VNet's server first", async () => {
  const { calls, resolver } = resolvconf("resolvconf", () => "nameserver 100.64.0.2\nnameserver 192.0.2.1\n");
  await resolver.apply(WANTED);
  assert.deepEqual(await resolver.upstreams(), ["192.0.2.1", "192.0.2.2"]);
  await resolver.revert();
  assert.deepEqual(calls, ["-a tun.tsh-vnet <nameserver 100.64.0.2", "-d tun.tsh-vnet <"]);
});

test("where VNet's server would not be asked first, that is an error and everything is taken back", async () => {
  for (const conf of [
    "nameserver 127.0.0.1\n",
    "nameserver 100.64.0.2\nnameserver 192.0.2.1\noptions edns0 rotate\n",
  ]) {
    const { calls, resolver } = resolvconf("resolvconf", () => conf);
    await assert.rejects(resolver.apply(WANTED), { code: "oscfg.resolv-conf" });
    assert.equal(calls.at(-1), "-d tun.tsh-vnet <");
  }
});

test("a hook that fails is no failure, where VNet's server is first all the same", async () => {
  const run = async () => {
    writeFileSync(join(dir, "resolv.conf"), "nameserver 100.64.0.2\n");
    throw new OsCommandError("resolvconf -a", "/etc/resolvconf/update.d/unbound exited with return code 1");
  };
  const resolver = new Resolvconf("resolvconf", run, join(dir, "resolv.conf"), []);
  await resolver.apply(WANTED);
  await assert.rejects(resolver.apply({ ...WANTED, servers: ["100.64.9.9"] }), { message: /unbound exited/ });
});
