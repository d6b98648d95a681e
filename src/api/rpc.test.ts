import assert from "node:assert/strict";
import { test } from "node:test";
import { OperationError } from "../base/mod.ts";
import {
  AccessDeniedError,
  AlreadyExistsError,
  BadInputError,
  errorEnvelopeSchema,
  formatDuration,
  fromErrorEnvelope,
  LimitExceededError,
  MfaRequiredError,
  NotFoundError,
  nearest,
  parseDuration,
  parseHostPort,
  parseKind,
  parseValue,
  RemoteError,
  RevisionMismatchError,
  RPC,
  toErrorEnvelope,
  UnauthenticatedError,
  UnavailableError,
} from "./mod.ts";

test("errors cross the wire as themselves", () => {
  const classes = [
    BadInputError,
    UnauthenticatedError,
    AccessDeniedError,
    MfaRequiredError,
    NotFoundError,
    AlreadyExistsError,
    RevisionMismatchError,
    LimitExceededError,
    UnavailableError,
  ];
  for (const Class of classes) {
    const { status, envelope } = toErrorEnvelope(new Class("why"));
    const back = fromErrorEnvelope(parseValue(errorEnvelopeSchema, JSON.parse(JSON.stringify(envelope))));
    assert.ok(back instanceof Class, Class.name);
    assert.equal(back.message, "why");
    assert.ok(status >= 400 && status < 600);
  }
});

test("a bug is not explained to the caller; an unknown code stays what it is", () => {
  assert.deepEqual(toErrorEnvelope(new TypeError("secret")), {
    status: 500,
    envelope: { error: { code: "api.internal", message: "internal error", retryable: false } },
  });
  const later = fromErrorEnvelope({ error: { code: "constructor", message: "m", retryable: true } });
  assert.ok(later instanceof RemoteError && later instanceof OperationError);
  assert.deepEqual([later.remoteCode, later.retryable], ["constructor", true]);
});

test("requests are strict and name the call's own fields", () => {
  assert.throws(() => parseValue(RPC["login.password"].request, { user: "a", password: "p", csr: "x", ttl: 5 }), {
    message: 'unknown key "ttl"',
  });
  assert.throws(() => parseValue(RPC["resource.create"].request, { resource: { kind: "nope" } }), BadInputError);
  assert.throws(
    () =>
      parseValue(RPC["resource.create"].request, {
        resource: { kind: "user", version: "v2", metadata: { name: "a" } },
      }),
    { message: "resource.spec: is required" },
  );
});

test("durations read as Go writes them", () => {
  for (const [text, ms] of [
    ["12h", 43_200_000],
    ["30m", 1_800_000],
    ["1h30m", 5_400_000],
    ["500ms", 500],
    ["1.5s", 1500],
    ["0", 0],
  ] as const) {
    assert.equal(parseDuration(text), ms, text);
  }
  for (const text of ["", "12", "h", "-1h", "1d", "1h ", "1h30"]) assert.equal(parseDuration(text), undefined, text);
  assert.equal(formatDuration(5_400_000), "1h30m0s");
  assert.equal(parseDuration(formatDuration(59_000)), 59_000);
});

test("words near to known ones", () => {
  assert.equal(nearest("sufix", ["suffix", "prefix"]), "suffix");
  assert.equal(nearest("PUBLIC_ADDR", ["public_addr"]), "public_addr");
  assert.equal(nearest("zzz", ["suffix"]), undefined);
  assert.equal(nearest("x", ["y"]), "y");
  assert.equal(nearest("nmae", ["kind", "name"]), "name");
});

test("hosts and ports", () => {
  assert.deepEqual(parseHostPort("a.test:443"), { host: "a.test", port: 443 });
  assert.deepEqual(parseHostPort("[::1]:80"), { host: "::1", port: 80 });
  assert.deepEqual(parseHostPort("a.test"), { host: "a.test" });
  for (const text of ["", "a b", "a:0", "a:70000", "a:", "https://a", "[x]:1", "::1"]) {
    assert.equal(parseHostPort(text), undefined, text);
  }
});

test("kinds by what people call them", () => {
  assert.equal(parseKind("roles"), "role");
  assert.equal(parseKind("cap"), "cluster_auth_preference");
  assert.equal(parseKind("vnet_config"), "vnet_config");
  assert.equal(parseKind("constructor"), undefined);
});
