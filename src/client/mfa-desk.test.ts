import assert from "node:assert/strict";
import { test } from "node:test";
import { MfaRequiredError, UnauthenticatedError } from "../api/mod.ts";
import type { RpcClient } from "../rpc/mod.ts";
import { SecondFactorUnansweredError } from "./errors.ts";
import { MAX_MFA_QUESTIONS } from "./limits.ts";
import { MfaDesk } from "./mfa-desk.ts";

const NEVER = new AbortController().signal;
type Call = [method: string, request: { app?: string; mfa?: { otp_token?: string } }];

/** An Auth that wants `right` for each session. */
function fakeAuth(right = "123456") {
  const calls: Call[] = [];
  const call = async (...[method, request]: Call) => {
    calls.push([method, request]);
    if (method === "mfa.challenge") return { challenge_id: `c-${request.app}`, otp: true };
    if (request.mfa === undefined) throw new MfaRequiredError("needs a second factor");
    if (request.mfa.otp_token !== right) throw new UnauthenticatedError("the one-time password is not right");
    return { session_id: request.app };
  };
  return { rpc: { call } as unknown as RpcClient, calls };
}

const request = (app: string) => ({ app, csr: "x" });

test("one question at a time, in their order, each told by name", async () => {
  const { rpc } = fakeAuth();
  const lines: string[] = [];
  let asked = 0;
  let atOnce = 0;
  const otp = async () => {
    atOnce = Math.max(atOnce, ++asked);
    await new Promise(setImmediate);
    asked--;
    return "123456";
  };
  const desk = new MfaDesk({ person: () => ({ otp }), tell: (line) => lines.push(line) });
  const opened = await Promise.all(["a", "b", "c"].map((app) => desk.openSession(rpc, request(app), NEVER)));
  assert.deepEqual(
    opened.map(({ session_id }) => session_id),
    ["a", "b", "c"],
  );
  assert.equal(atOnce, 1);
  assert.deepEqual(
    lines,
    ["a", "b", "c"].map((app) => `The app "${app}" asks for a second factor for this session.`),
  );
});

test("a wrong code is told and may be typed again, three times in all", async () => {
  const { rpc, calls } = fakeAuth();
  const codes = ["1", "2", "123456"];
  const lines: string[] = [];
  const desk = new MfaDesk({ person: () => ({ otp: async () => codes.shift()! }), tell: (line) => lines.push(line) });
  await desk.openSession(rpc, request("db"), NEVER);
  assert.equal(lines.filter((line) => /not right/.test(line)).length, 2);
  assert.equal(calls.filter(([method]) => method === "mfa.challenge").length, 3, "a new question for each");
  const hopeless = new MfaDesk({ person: () => ({ otp: async () => "0" }), tell: () => {} });
  await assert.rejects(hopeless.openSession(rpc, request("db"), NEVER), /not right/);
});

test("with nobody there it is refused at once, and says what to do", async () => {
  const { rpc } = fakeAuth();
  const desk = new MfaDesk({ person: () => ({}), tell: () => {} });
  await assert.rejects(desk.openSession(rpc, request("db"), NEVER), (error) => {
    assert.ok(error instanceof SecondFactorUnansweredError);
    assert.match(error.message, /a second factor is asked for \(a one-time password\).*in a terminal/);
    return true;
  });
});

test("a question that nobody answers ends, and the next one is asked", async () => {
  const { rpc } = fakeAuth();
  let first = true;
  const otp = (signal: AbortSignal) => {
    if (!first) return Promise.resolve("123456");
    first = false;
    return new Promise<string>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  };
  const desk = new MfaDesk({ person: () => ({ otp }), tell: () => {}, promptMs: 20 });
  const [slow, next] = await Promise.allSettled(["a", "b"].map((app) => desk.openSession(rpc, request(app), NEVER)));
  assert.ok(slow?.status === "rejected" && /nobody gave the second factor for the app "a"/.test(slow.reason.message));
  assert.equal(next?.status, "fulfilled");
});

test("who gives up waiting is not asked, and too many questions are refused", async () => {
  const { rpc, calls } = fakeAuth();
  const typed = Promise.withResolvers<string>();
  const desk = new MfaDesk({ person: () => ({ otp: () => typed.promise }), tell: () => {} });
  const gone = new AbortController();
  const first = desk.openSession(rpc, request("a"), NEVER);
  const second = desk.openSession(rpc, request("b"), gone.signal);
  const rest = Array.from({ length: MAX_MFA_QUESTIONS - 1 }, (_, i) => desk.openSession(rpc, request(`r${i}`), NEVER));
  const results = Promise.allSettled(rest);
  await new Promise(setImmediate);
  gone.abort(new Error("the connection was closed"));
  await assert.rejects(second, /connection was closed/);
  typed.resolve("123456");
  await first;
  const refused = (await results).filter(({ status }) => status === "rejected");
  assert.equal(refused.length, 1);
  assert.ok(!calls.some(([method, { app }]) => method === "mfa.challenge" && app === "b"));
});
