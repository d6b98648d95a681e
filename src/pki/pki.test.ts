import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect, createServer } from "node:tls";
import { needs } from "../testkit/mod.ts";
import {
  authorityOf,
  createCa,
  createCsr,
  crossSign,
  generateKeyPair,
  hostChecker,
  identityOf,
  issueAdminCert,
  issueHostCert,
  issueUserCert,
  pinsVouchingFor,
  publicKeyOfCsr,
  selfSignedWebCert,
  spkiPin,
  TLS_DEFAULTS,
  verifyChain,
} from "./mod.ts";

const HOST_ID = "5b0f0f1e-9c51-4a3e-8a0c-2a8d7c3c1d11";
const HOUR_MS = 3_600_000;

async function cluster(name: string, now = Date.now()) {
  const user = await createCa({ cluster: name, type: "user", now });
  const host = await createCa({ cluster: name, type: "host", now });
  return { name, user, host, now };
}

async function userCert(of: Awaited<ReturnType<typeof cluster>>, o: { user?: string; expires?: number } = {}) {
  const keys = await generateKeyPair();
  const certPem = await issueUserCert({
    ca: of.user,
    cluster: of.name,
    publicKeyPem: keys.publicKeyPem,
    user: o.user ?? "alice",
    roles: ["access"],
    traits: { logins: ["root"] },
    now: of.now,
    expires: o.expires ?? of.now + HOUR_MS,
  });
  return { certPem, keyPem: keys.keyPem };
}

async function hostCert(of: Awaited<ReturnType<typeof cluster>>, role: "App" | "Auth" | "Proxy" = "App") {
  const keys = await generateKeyPair();
  const certPem = await issueHostCert({
    ca: of.host,
    cluster: of.name,
    publicKeyPem: keys.publicKeyPem,
    hostId: HOST_ID,
    roles: [role],
    now: of.now,
  });
  return { certPem, keyPem: keys.keyPem };
}

test("each kind of certificate gives back the identity it was issued for", async () => {
  const root = await cluster("root.test");
  const { publicKeyPem } = await generateKeyPair();
  const strange = "ann/é, URI:teleport://x/admin";
  const expires = Math.floor(Date.now() / 1000) * 1000 + HOUR_MS;
  const mfaDevice = "6a0a1f0e-9a4b-4f0e-8d4e-2f6f6d0b1a11";
  const person = { user: strange, roles: ["access", "rôle"], traits: { logins: ["a,b"] }, expires, mfaDevice };
  const read = { ...person, issued: root.now };
  const route = { app: "tcp-app", publicAddr: "tcp-app.root.test", cluster: "root.test", sessionId: "ab".repeat(16) };
  const base = { cluster: root.name, publicKeyPem, now: root.now };
  const user = await issueUserCert({ ...base, ca: root.user, ...person });
  const app = await issueUserCert({ ...base, ca: root.user, ...person, route });
  const admin = await issueAdminCert({ ...base, ca: root.host });
  const cas = [root.user.certPem, root.host.certPem];

  assert.deepEqual(verifyChain(user, cas, root.now), { kind: "user", cluster: "root.test", ...read });
  assert.deepEqual(verifyChain(app, cas, root.now), { kind: "app", cluster: "root.test", ...read, route });
  assert.deepEqual(verifyChain(admin, cas, root.now), { kind: "admin", cluster: "root.test" });
  assert.deepEqual(verifyChain((await hostCert(root)).certPem, cas, root.now), {
    kind: "host",
    cluster: "root.test",
    hostId: HOST_ID,
    roles: ["App"],
  });
  assert.deepEqual(authorityOf(root.user.certPem), { cluster: "root.test", type: "user" });
});

test("an authority vouches only for its own cluster and its own kind of identity", async () => {
  const root = await cluster("root.test");
  const evil = await cluster("evil.test");
  const { publicKeyPem } = await generateKeyPair();
  const base = { publicKeyPem, now: root.now };
  const person = { user: "alice", roles: [], traits: {}, expires: root.now + HOUR_MS };
  const reason = (certPem: string, ...cas: string[]) => {
    const answer = verifyChain(certPem, cas, root.now);
    return "malformed" in answer ? answer.malformed : answer;
  };

  const stranger = await issueUserCert({ ...base, ...person, ca: evil.user, cluster: "root.test" });
  assert.equal(reason(stranger, root.user.certPem), "pki.unknown-authority");
  assert.equal(reason(stranger, root.user.certPem, evil.user.certPem), "pki.cluster-mismatch");
  const admin = await issueAdminCert({ ...base, ca: root.user, cluster: "root.test" });
  assert.equal(reason(admin, root.user.certPem), "pki.authority-type");
  const user = await issueUserCert({ ...base, ...person, ca: root.host, cluster: "root.test" });
  assert.equal(reason(user, root.host.certPem), "pki.authority-type");
  // A certificate that is not a CA cannot issue, whoever signed it.
  const leaf = await hostCert(root);
  const forged = await issueHostCert({ ...base, ca: leaf, cluster: "root.test", hostId: HOST_ID, roles: ["Auth"] });
  assert.equal(reason(forged, root.host.certPem, leaf.certPem), "pki.unknown-authority");
});

test("certificates are valid from 5 minutes ago until they expire", async () => {
  const root = await cluster("root.test");
  const { certPem } = await userCert(root, { expires: root.now + HOUR_MS });
  const at = (now: number) => verifyChain(certPem, [root.user.certPem], now);
  assert.deepEqual(at(root.now + HOUR_MS + 1000), { malformed: "pki.expired" });
  assert.deepEqual(at(root.now - 5 * 60_000 - 1000), { malformed: "pki.not-yet-valid" });
  assert.ok("kind" in at(root.now - 4 * 60_000));
});

test("bad bytes are values", async () => {
  const root = await cluster("root.test");
  const { certPem } = await userCert(root);
  const der = Buffer.from(certPem.replace(/-----.*-----|\s/g, ""), "base64");
  for (let length = 0; length < der.length; length += 7) {
    assert.ok("malformed" in identityOf(der.subarray(0, length)), `truncated to ${length}`);
  }
  for (const text of ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "A".repeat(100_000)]) {
    assert.ok("malformed" in verifyChain(text, [root.user.certPem], root.now));
    assert.ok("malformed" in (await publicKeyOfCsr(text)));
  }
  // Every octet of the certificate flipped: an identity never changes and still verifies.
  for (let at = 0; at < der.length; at += 5) {
    const bad = Buffer.from(der);
    bad[at]! ^= 1;
    assert.ok("malformed" in verifyChain(bad, [root.user.certPem], root.now), `octet ${at}`);
  }
});

test("a signing request gives its key only with proof of possession", async () => {
  const keys = await generateKeyPair();
  const other = await generateKeyPair();
  assert.deepEqual(await publicKeyOfCsr(await createCsr(keys)), { publicKeyPem: keys.publicKeyPem.trim() });
  const stolen = await createCsr({ keyPem: other.keyPem, publicKeyPem: keys.publicKeyPem });
  assert.deepEqual(await publicKeyOfCsr(stolen), { malformed: "pki.csr-signature" });
});

test("openssl agrees with our chains, usages and pin", needs("openssl"), async () => {
  const root = await cluster("root.test");
  const other = await cluster("root.test");
  const dir = mkdtempSync(join(tmpdir(), "pki-"));
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const openssl = (...args: string[]) =>
    execFileSync("openssl", args, { stdio: ["ignore", "pipe", "pipe"] }).toString();
  try {
    const hostCa = file("host-ca.pem", root.host.certPem);
    const userCa = file("user-ca.pem", root.user.certPem);
    const host = file("host.pem", (await hostCert(root)).certPem);
    const user = file("user.pem", (await userCert(root)).certPem);
    const web = file("web.pem", (await selfSignedWebCert(["proxy.test", "127.0.0.1"], root.now)).certPem);
    for (const purpose of ["sslserver", "sslclient"]) {
      openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", hostCa, host);
    }
    openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", userCa, user);
    openssl("verify", "-purpose", "sslserver", "-verify_hostname", "proxy.test", "-CAfile", web, web);
    assert.throws(() => openssl("verify", "-purpose", "sslserver", "-CAfile", userCa, user), /purpose/);
    const wrongCa = file("wrong.pem", other.host.certPem);
    assert.throws(() => openssl("verify", "-CAfile", wrongCa, host));

    const publicKey = file("public.pem", openssl("x509", "-in", hostCa, "-noout", "-pubkey"));
    const der = execFileSync("openssl", ["pkey", "-pubin", "-in", publicKey, "-outform", "DER"]);
    const sum = execFileSync("openssl", ["dgst", "-sha256", "-r"], { input: der }).toString().split(" ")[0];
    assert.equal(spkiPin(root.host.certPem), `sha256:${sum}`);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

/** One TLS handshake: what the client saw, and what client certificate the server got. */
async function handshake(o: {
  server: { certPem: string; keyPem: string };
  client: { certPem: string; keyPem: string };
  userCa: string;
  hostCa: string;
  expect: Parameters<typeof hostChecker>[0];
}): Promise<{ error?: string; peer?: string; group?: string }> {
  const server = createServer({
    ...TLS_DEFAULTS,
    cert: o.server.certPem,
    key: o.server.keyPem,
    ca: [o.userCa],
    requestCert: true,
    rejectUnauthorized: true,
  });
  let peer: string | undefined;
  server.on("secureConnection", (socket) => {
    peer = socket.getPeerCertificate().subject.CN as string;
    socket.on("error", () => {});
    socket.end("x");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect({
    ...TLS_DEFAULTS,
    port: (server.address() as AddressInfo).port,
    host: "127.0.0.1",
    cert: o.client.certPem,
    key: o.client.keyPem,
    ca: [o.hostCa],
    checkServerIdentity: hostChecker(o.expect),
  });
  const ended = Promise.withResolvers<string | undefined>();
  socket.on("error", (error) => ended.resolve(error.message));
  socket.on("data", () => ended.resolve(undefined));
  const error = await ended.promise;
  const group = (socket.getEphemeralKeyInfo() as { name?: string } | null)?.name;
  socket.destroy();
  server.close();
  await once(server, "close");
  return { ...(error && { error }), ...(peer && { peer }), ...(group && { group }) };
}

test("the host check binds cluster, role and host id, before the client's certificate is sent", async () => {
  const root = await cluster("root.test");
  const leaf = await cluster("leaf.test");
  const client = await userCert(root);
  const base = { client, userCa: root.user.certPem };
  const agent = await hostCert(root, "App");
  const mine = { cluster: "root.test", roles: ["App"], hostIds: [HOST_ID] } as const;

  const good = await handshake({ ...base, server: agent, hostCa: root.host.certPem, expect: mine });
  assert.deepEqual(good, { peer: "alice", group: "X25519MLKEM768" });
  const cases: [string, RegExp, Parameters<typeof handshake>[0]][] = [
    [
      "role",
      /its role is App/,
      { ...base, server: agent, hostCa: root.host.certPem, expect: { ...mine, roles: ["Auth"] } },
    ],
    ["id", /not among/, { ...base, server: agent, hostCa: root.host.certPem, expect: { ...mine, hostIds: ["other"] } }],
    ["cluster", /leaf\.test/, { ...base, server: await hostCert(leaf), hostCa: leaf.host.certPem, expect: mine }],
    [
      "authority",
      /self.signed|unable to/,
      { ...base, server: await hostCert(leaf), hostCa: root.host.certPem, expect: mine },
    ],
    [
      "user as server",
      /authority-type|purpose|user/,
      { ...base, server: client, hostCa: root.user.certPem, expect: mine },
    ],
  ];
  for (const [name, pattern, attempt] of cases) {
    const seen = await handshake(attempt);
    assert.match(seen.error ?? "none", pattern, name);
    // A later check would have shown user and roles to a false server.
    assert.equal(seen.peer, undefined, name);
  }
});

test("a pin counts for whom its authority certified as an authority, over several, and for nobody else", async () => {
  const now = Date.now();
  const make = () => createCa({ cluster: "root", type: "host", now });
  const [first, second, third] = [await make(), await make(), await make()];
  const bundle = [first.certPem, second.certPem, third.certPem];
  const vouchers = [await crossSign(second.certPem, first, now), await crossSign(third.certPem, second, now)];
  const pins = bundle.map(spkiPin);
  assert.deepEqual(pinsVouchingFor(third.certPem, bundle, vouchers).sort(), [...pins].sort());
  assert.deepEqual(pinsVouchingFor(first.certPem, bundle, vouchers), [pins[0]], "not the other way round");
  assert.deepEqual(pinsVouchingFor(third.certPem, [third.certPem], vouchers), [pins[2]], "the issuer must be there");
  assert.deepEqual(pinsVouchingFor(third.certPem, bundle, ["", "x".repeat(100_000)]), [pins[2]]);

  // A host whose key also signs an authority of its own making.
  const { publicKeyPem } = await generateKeyPair();
  const hostId = randomUUID();
  const host = await issueHostCert({ ca: first, cluster: "root", publicKeyPem, now, hostId, roles: ["App"] });
  assert.ok(!pinsVouchingFor(host, [first.certPem], [host]).includes(pins[0]!), "a host is no authority");
});
