import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { check, errorEnvelopeSchema, RPC, type RpcContract, type RpcMethod } from "../../src/api/mod.ts";
import { Mutator } from "../../src/testkit/mod.ts";
import { CALLERS, type Caller, FuzzedAuth } from "./fuzzed-auth.ts";
import { RequestGenerator } from "./request-generator.ts";

/** Requests under way at once. */
const CONCURRENCY = 16;
/** What was taken away is put back after so many. */
const REPAIR_EVERY = 400;
/** Each of these hashes passwords or reads the whole audit log: one in so many of what the others get. */
const COSTLY = new Set<RpcMethod>(["login.password", "invite.accept", "audit.verify", "audit.search"]);
const COSTLY_PART = 40;
/** It replaces the very keys by which the callers are known; who may not call it does. */
const NOT_AS_ADMIN: RpcMethod = "authority.rotate";

export interface FuzzResult {
  /** How often each status was answered, by method. */
  readonly answers: ReadonlyMap<string, ReadonlyMap<number, number>>;
  readonly requests: number;
  /** Octets of heap after a forced collection, after the first part and at the end. */
  readonly heapBefore: number;
  readonly heapAfter: number;
}

/**
 * Sends requests that the API's own schemas suggest, as every kind of caller.
 * Asserts of each: an answer with a status below 500; a refusal explains itself
 * in the envelope, and what is done answers by its schema.
 */
export async function fuzzApi(seed: number, requests: number, warmUp: number): Promise<FuzzResult> {
  await using auth = await FuzzedAuth.start();
  const random = new Mutator(seed);
  const generator = new RequestGenerator(random, {
    names: ["alice", "ed", "access", "editor", "sample", "sample-token", auth.hostId, `${auth.hostId}.sample`],
    texts: ["1h", "30m", "2030-01-01T00:00:00Z", "127.0.0.1:1", "company.test", "10.0.0.0/8", "App", auth.csr, "*"],
    resources: auth.samples,
    fields: {
      csr: [auth.csr],
      app: ["sample"],
      user: ["alice", "ed"],
      name: auth.samples.map(({ metadata }) => metadata.name),
      from: ["2026-01-01T00:00:00Z"],
      expires: ["2030-01-01T00:00:00Z"],
    },
  });
  const methods = Object.keys(RPC) as RpcMethod[];
  const answers = new Map<string, Map<number, number>>();
  const one = async () => {
    const { caller, method, verb, path, body } = request();
    const where = `seed ${seed}: ${caller} ${verb} ${path} ${body.toString().slice(0, 2_000)}`;
    const { status, text } = await auth.send(caller, verb, path, body);
    const counts = answers.get(method ?? "unknown") ?? new Map<number, number>();
    answers.set(method ?? "unknown", counts.set(status, (counts.get(status) ?? 0) + 1));
    assert.ok(status >= 200 && status < 500, `${where}\n→ ${status} ${text}\n${auth.bugs.join("")}`);
    checkAnswer(method, status, text, where);
  };
  const request = () => {
    const caller: Caller = random.oneOf(CALLERS);
    let method = random.oneOf(methods);
    while (
      (COSTLY.has(method) && random.below(COSTLY_PART) !== 0) ||
      (method === NOT_AS_ADMIN && (caller === "admin" || caller === "editor"))
    ) {
      method = random.oneOf(methods);
    }
    const text = JSON.stringify(generator.body(method));
    const odd = random.below(40);
    if (odd === 0) return { caller, method: undefined, verb: "POST", path: "/v1/no.such", body: Buffer.from(text) };
    if (odd === 1) return { caller, method: undefined, verb: "GET", path: `/v1/${method}`, body: Buffer.alloc(0) };
    const body = odd === 2 ? Buffer.from(random.mutated(Buffer.from(text))) : Buffer.from(text);
    return { caller, method, verb: "POST", path: `/v1/${method}`, body };
  };
  const run = async (count: number) => {
    for (let done = 0; done < count; done += REPAIR_EVERY) {
      let left = Math.min(REPAIR_EVERY, count - done);
      const worker = async () => {
        while (left-- > 0) await one();
      };
      await Promise.all(Array.from({ length: CONCURRENCY }, worker));
      await auth.repair();
    }
  };
  await run(warmUp);
  const heapBefore = heapAfterCollection();
  await run(requests - warmUp);
  return { answers, requests, heapBefore, heapAfter: heapAfterCollection() };
}

function checkAnswer(method: RpcMethod | undefined, status: number, text: string, where: string): void {
  const [line = ""] = text.split("\n", 1);
  assert.notEqual(line, "", `${where}\n→ ${status} and nothing else`);
  const contract: RpcContract | undefined = method && RPC[method];
  if (status === 200 && contract === undefined) assert.fail(where);
  const checked = check(status === 200 ? contract!.response : errorEnvelopeSchema, JSON.parse(line));
  assert.ok("value" in checked, `${where}\n→ ${status} ${text.slice(0, 2_000)}\n${JSON.stringify(checked)}`);
}

function heapAfterCollection(): number {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  gc();
  gc();
  return process.memoryUsage().heapUsed;
}
