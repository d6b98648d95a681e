import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUtf8, systemClock } from "../base/mod.ts";
import { StreamUser, streamPair } from "../testkit/mod.ts";
import { hostGuarded } from "./host-guard.ts";

const GOOD = "GET / HTTP/1.1\r\nHost: web.company.test\r\n\r\n";
const EVIL = "POST / HTTP/1.1\r\nHost: evil.test\r\nContent-Length: 5\r\n\r\nhello";

/** A client and an app with the guard between them. */
function setup() {
  const [near, far] = streamPair();
  const details: string[] = [];
  const guarded = hostGuarded(far, {
    allowed: ["web.company.test"],
    clock: systemClock,
    refused: (detail) => details.push(detail),
  });
  return { client: new StreamUser(near), app: new StreamUser(guarded), details };
}

function text(user: StreamUser): string {
  return Buffer.from(user.received).toString("latin1");
}

/** Enough turns for octets to cross. */
async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}

for (const [what, octets] of [
  ["a request for the app", GOOD],
  ["what is not HTTP", "\x16\x03\x01\x02\x00 anything"],
  ["a request line that is none", "SET key value\r\n"],
  ["one octet", "Q"],
] as const) {
  test(`${what} passes untouched, cut at every octet, and the answer too`, async () => {
    const bytes = Buffer.from(octets, "latin1");
    for (let at = 0; at < bytes.length; at++) {
      const { client, app, details } = setup();
      if (at > 0) client.send(bytes.subarray(0, at));
      await settled();
      client.send(bytes.subarray(at));
      client.end();
      await app.peerEnded;
      assert.equal(text(app), octets);
      app.send(encodeUtf8("answer"));
      app.end();
      assert.equal(await client.closed, "end");
      assert.equal(text(client), "answer");
      assert.deepEqual(details, []);
    }
  });
}

test("a foreign Host: 421, nothing of it at the app but a reset, cut at every octet", async () => {
  const bytes = Buffer.from(EVIL);
  for (let at = 1; at < bytes.length - 5; at++) {
    const { client, app, details } = setup();
    client.send(bytes.subarray(0, at));
    await settled();
    client.send(bytes.subarray(at));
    assert.equal(await app.closed, "refused");
    // At most the part of the request line that came before its version: nothing to act on.
    assert.ok(EVIL.startsWith(text(app)) && text(app).length < "POST / HTTP/1.".length, text(app));
    assert.equal(await client.peerEnded, "end");
    assert.match(text(client), /^HTTP\/1\.1 421 Misdirected Request\r\n/);
    const [head = "", body = ""] = text(client).split("\r\n\r\n");
    assert.match(head, new RegExp(`^Content-Length: ${body.length}$`, "m"));
    assert.doesNotMatch(text(client), /company|evil/, "says nothing of the app to a foreign page");
    assert.deepEqual(details, ['the request is for "evil.test"']);
    client.end();
    assert.equal(await client.closed, "end");
  }
});

test("the app's octets are not delayed while the client's are held", async () => {
  const { client, app } = setup();
  client.send(encodeUtf8(GOOD.slice(0, -2)));
  app.send(encodeUtf8("220 ready\r\n"));
  await settled();
  assert.equal(text(client), "220 ready\r\n");
  assert.equal(text(app), "");
  client.send(encodeUtf8("\r\n"));
  await settled();
  assert.equal(text(app), GOOD);
});

test("a greeting that the app has already sent comes before the 421", async () => {
  const { client, app } = setup();
  app.send(encodeUtf8("220 ready\r\n"));
  client.send(encodeUtf8(EVIL));
  await client.peerEnded;
  assert.match(text(client), /^220 ready\r\nHTTP\/1\.1 421 /);
});

test("a large body of a refused request does not keep its client from the answer", async () => {
  const { client } = setup();
  client.send(encodeUtf8(EVIL));
  client.send(new Uint8Array(2 * 1024 * 1024));
  client.end();
  assert.equal(await client.closed, "end");
  assert.match(text(client), /^HTTP\/1\.1 421 /);
});

test("an app that has written all it may can still be answered for", async () => {
  const { client, app } = setup();
  app.send(new Uint8Array(1024 * 1024)); // More than the client takes at once.
  await settled();
  client.send(encodeUtf8(EVIL));
  assert.equal(await client.peerEnded, "end");
  assert.match(text(client).slice(-400), /HTTP\/1\.1 421 /);
});

test("resets pass both ways, also in the middle of a header", async () => {
  const held = setup();
  held.client.send(encodeUtf8(GOOD.slice(0, -2)));
  await settled();
  held.client.reset("peer");
  assert.equal(await held.app.closed, "peer");
  const other = setup();
  other.client.send(encodeUtf8(GOOD.slice(0, -2)));
  await settled();
  other.app.reset("peer");
  assert.equal(await other.client.closed, "peer");
});
