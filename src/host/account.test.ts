import assert from "node:assert/strict";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { needs } from "../testkit/mod.ts";
import { accountIn, callingAccount, cleanEnvironment, ROOT } from "./account.ts";

const NOBODY = { name: "nobody", uid: 65_534, gid: 65_534, home: "/nonexistent" };

test("the account is sudo's user, else the owner of TELEPORT_HOME, else root", () => {
  assert.deepEqual(callingAccount({ SUDO_UID: "65534" }), NOBODY);
  for (const invalid of ["4000000", "-1", "0x10", "nobody", "65534; id", "", "0"]) {
    assert.deepEqual(callingAccount({ SUDO_UID: invalid }), ROOT, invalid); // not in passwd: not believed
  }
  assert.deepEqual(callingAccount({ TELEPORT_HOME: "/nonexistent" }), ROOT);
});

test("without sudo the owner of TELEPORT_HOME counts", needs("root"), () => {
  const home = mkdtempSync(join(tmpdir(), "vnet-home-"));
  chownSync(home, 65_534, 65_534);
  assert.deepEqual(callingAccount({ TELEPORT_HOME: home }), NOBODY);
  assert.deepEqual(callingAccount({ SUDO_UID: "4000000", TELEPORT_HOME: home }), NOBODY);
  rmSync(home, { recursive: true });
});

test("a line of passwd is read strictly", () => {
  assert.deepEqual(accountIn("nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n", 65_534), NOBODY);
  for (const line of ["", "nobody:x:65534", "nobody:x:1:1::/:/bin/sh", "nobody:x:65534:65534::home:/bin/sh"]) {
    assert.equal(accountIn(line, 65_534), undefined, line);
  }
});

test("the user process gets a clean environment", () => {
  const env = cleanEnvironment(NOBODY, {
    PATH: "/tmp/evil",
    HOME: "/root",
    TERM: "xterm",
    LC_ALL: "C.UTF-8",
    TELEPORT_HOME: "/h",
    https_proxy: "http://p:1",
    SUDO_UID: "65534",
    NODE_OPTIONS: "--require=/tmp/evil.js",
    LD_PRELOAD: "/tmp/evil.so",
  });
  assert.deepEqual(env, {
    TERM: "xterm",
    LC_ALL: "C.UTF-8",
    TELEPORT_HOME: "/h",
    https_proxy: "http://p:1",
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/nonexistent",
    USER: "nobody",
    LOGNAME: "nobody",
  });
});
