import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { ProfileDamagedError } from "./errors.ts";
import { type Profile, ProfileStore, splitPem } from "./profile.ts";

const CERT = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

function profile(name: string): Profile {
  return {
    name,
    proxyAddress: `${name}:443`,
    user: "email@example.com",
    cluster: `cluster-of-${name}`,
    trustGeneration: 1,
    certPem: CERT,
    keyPem: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    hostCas: [CERT, CERT.replace("AAAA", "BBBB")],
  };
}

async function newStore(t: { after(run: () => Promise<void>): void }): Promise<ProfileStore> {
  const home = await mkdtemp(path.join(tmpdir(), "tsh-"));
  t.after(() => rm(home, { recursive: true }));
  return new ProfileStore(home);
}

test("a saved login is read back as it was and becomes the current one", async (t) => {
  const store = await newStore(t);
  assert.equal(await store.current(), undefined);
  await store.save(profile("teleport.example.com"));
  await store.save(profile("a.example.com"));
  assert.deepEqual(await store.load("teleport.example.com"), profile("teleport.example.com"));
  assert.equal((await store.current())?.name, "a.example.com");
  await store.select("teleport.example.com");
  assert.deepEqual(
    (await store.all()).map((each) => each.name),
    ["teleport.example.com", "a.example.com"],
  );
});

test("only the owner can read what is saved, and nothing temporary stays", async (t) => {
  const store = await newStore(t);
  await store.save(profile("teleport.example.com"));
  const entries = await readdir(store.home, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    const { mode } = await stat(path.join(entry.parentPath, entry.name));
    assert.equal(mode & 0o777, entry.isDirectory() ? 0o700 : 0o600, entry.name);
    assert.doesNotMatch(entry.name, /\.new$/);
  }
});

test("logging out removes the login and does not choose another", async (t) => {
  const store = await newStore(t);
  await store.save(profile("a.example.com"));
  await store.save(profile("b.example.com"));
  await store.remove("b.example.com");
  assert.equal(await store.current(), undefined);
  assert.deepEqual(
    (await store.all()).map((each) => each.name),
    ["a.example.com"],
  );
});

test("a damaged login says which file and what to do", async (t) => {
  const store = await newStore(t);
  await store.save(profile("a.example.com"));
  await writeFile(path.join(store.home, "a.example.com.yaml"), "web_proxy_addr: [");
  await assert.rejects(
    store.current(),
    (error) => error instanceof ProfileDamagedError && /a\.example\.com\.yaml[\s\S]*log in again/.test(error.message),
  );
});

test("a name cannot leave the directory", async (t) => {
  const store = await newStore(t);
  await store.save({ ...profile("x"), name: "../../x", user: "../../y" });
  assert.equal((await store.load("../../x"))?.user, "../../y");
  assert.ok((await readdir(store.home)).includes(".._.._x.yaml"));
});

test("a bundle is split into its certificates", () => {
  assert.deepEqual(splitPem(`junk\n${CERT}${CERT}`), [CERT, CERT]);
  assert.deepEqual(splitPem(""), []);
});

test("what is not a login, a key that is gone, and a directory that is none: in a person's words, with the place", async (t) => {
  const store = await newStore(t);
  await store.save(profile("a.example.com"));
  const file = path.join(store.home, "a.example.com.yaml");
  const remedy = 'log in again with "tsh login --proxy=a.example.com"';
  const key = path.join(store.home, "keys", "a.example.com", "email@example.com.key");
  await rm(key);
  await assert.rejects(store.load("a.example.com"), {
    message: `the saved login ${file} cannot be read: ${key}: there is no such file; ${remedy}`,
  });
  await writeFile(file, "garbage");
  await assert.rejects(store.load("a.example.com"), {
    message: `the saved login ${file} cannot be read: expected a map; ${remedy}`,
  });
  const nowhere = new ProfileStore(path.join(file, "home"));
  await assert.rejects(nowhere.current(), {
    code: "client.profile-files",
    message: `the saved logins cannot be read: ${path.join(nowhere.home, "current-profile")}: a part of its path is a file`,
  });
  await assert.rejects(nowhere.save(profile("b")), {
    message: `the login cannot be saved in ${nowhere.home}: ${path.join(nowhere.home, "keys", "b", "cas")}: a part of its path is a file`,
  });
});
