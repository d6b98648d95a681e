/** `docs/protocol.md` says of tokens, control and data connections what the code does. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { linkLimits } from "../link/mod.ts";
import { IDENTITY_OID } from "../pki/mod.ts";
import { namedLimits, protocolSays, protocolTable, quotedLimits } from "../testkit/mod.ts";
import { ALERT } from "./alert.ts";
import { CONTROL_ALPN, CONTROL_VERSION, decodeControl } from "./control-wire.ts";
import { beginsData, EXPORTER_LABEL, encodeAnswer, encodeGreeting, encodeRoute, GREETING_LEN } from "./data-wire.ts";
import * as limits from "./limits.ts";
import { ANY_INSTANCE, encodeRouteToken, LINK_ALPN } from "./route-token.ts";

const SESSION = "00112233445566778899aabbccddeeff";
const DATA_KEY = Buffer.alloc(32, 0x22);

function says(text: string): void {
  assert.ok(protocolSays(text), `docs/protocol.md does not say: ${text}`);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

test("names, labels and the magic", () => {
  for (const name of ["tp-auth/1", CONTROL_ALPN, LINK_ALPN, EXPORTER_LABEL, IDENTITY_OID]) says(`\`${name}\``);
  const greeting = encodeGreeting(DATA_KEY, { controlId: "0".repeat(32), number: 1 });
  const [magic = "", version = ""] = [greeting.subarray(0, 5), greeting.subarray(5, 6)].map(hex);
  assert.equal(beginsData(greeting), true);
  says(`\`${magic.replaceAll(/..(?!$)/g, "$& ")}\` | version \`${version}\``);
  assert.equal(greeting.length, GREETING_LEN);
  says(`tag (16): ${GREETING_LEN};`);
});

test("the example of a route token", () => {
  const fields = { sessionId: SESSION, instance: ANY_INSTANCE, counter: 7 };
  says(`    ${encodeRouteToken(fields, "example.test", Buffer.alloc(32, 0x11))}\n`);
  const octets = protocolTable("octets", "field").slice(0, 4);
  assert.equal(
    octets.reduce((sum, [length]) => sum + Number(length), 0),
    limits.TOKEN_LEN,
  );
});

test("the examples of a data connection", () => {
  const controlId = "000102030405060708090a0b0c0d0e0f";
  const route = { sessionId: SESSION, app: "tcp-app", clientAddress: "192.0.2.1" };
  says(`    GREETING ${hex(encodeGreeting(DATA_KEY, { controlId, number: 1 }))}\n`);
  says(`    ROUTE    ${hex(encodeRoute(DATA_KEY, 1, route))}\n`);
  says(`    ACCEPT   ${hex(encodeAnswer(DATA_KEY, 1, true))}\n`);
  says(`    DECLINE  ${hex(encodeAnswer(DATA_KEY, 1, false))}\n`);
});

test("alerts and control messages", () => {
  const alerts = protocolTable("alert", "meaning").map(([number]) => Number(number));
  assert.deepEqual(alerts.sort(), [ALERT.unrecognizedName, ALERT.internalError].sort());
  const types = protocolTable("message", "from").flatMap(([names = ""]) => names.split(", "));
  assert.equal(types.length, 7);
  for (const type of types) {
    // Known: with a wrong field it is Malformed, not skipped; `drain` has none.
    const read = decodeControl(JSON.stringify({ type, version: -1, idle: -1, id: -1 }));
    assert.ok(read !== undefined, type);
    assert.equal("malformed" in read, type !== "drain", type);
  }
  says(`\`version\`: ${CONTROL_VERSION}, \`software\``);
});

test("sizes and times are the code's, and every limit that is named exists", async () => {
  const quoted = quotedLimits("tunnel");
  assert.ok(quoted.length > 15);
  for (const { name, value } of quoted) assert.equal(value, (limits as Record<string, unknown>)[name], name);
  for (const limit of namedLimits()) {
    const [folder = "", name = ""] = limit.split(".");
    if (folder === "link") assert.ok(name in linkLimits, limit);
    else {
      const file = readFileSync(join(import.meta.dirname, "..", folder, "limits.ts"), "utf8");
      const value = new RegExp(`^export const ${name} = ([\\d_ *]+);`, "m").exec(file)?.[1];
      assert.ok(value !== undefined, limit);
      const product = value.split("*").reduce((all, factor) => all * Number(factor.replaceAll("_", "")), 1);
      for (const said of quotedLimits(folder)) if (said.name === name) assert.equal(said.value, product, limit);
    }
  }
});
