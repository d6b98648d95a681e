import assert from "node:assert/strict";
import { test } from "node:test";
import { isMalformed, seededRandom } from "../base/mod.ts";
import { type DBusValue, Variant } from "./dbus-values.ts";
import { type DBusMessage, decodeMessage, encodeMessage, messageLen } from "./dbus-wire.ts";

const CALL: DBusMessage = {
  type: 1,
  serial: 7,
  path: "/org/freedesktop/resolve1",
  interface: "org.freedesktop.resolve1.Manager",
  member: "SetLinkDNS",
  destination: "org.freedesktop.resolve1",
  signature: "ia(iay)",
  body: [
    3,
    [
      [2, Uint8Array.of(100, 64, 0, 2)],
      [10, new Uint8Array(16)],
    ],
  ],
};

test("what is encoded is decoded, type by type", () => {
  const table: [signature: string, body: DBusValue[]][] = [
    ["y", [255]],
    ["b", [true]],
    ["i", [-5]],
    ["u", [4_000_000_000]],
    ["so", ["", "/a"]],
    ["g", ["a{sv}"]],
    [
      "ia(sb)",
      [
        3,
        [
          ["company.test", true],
          ["b", false],
        ],
      ],
    ],
    ["yayai", [1, Uint8Array.of(1, 2, 3), [9, 8]]],
    ["a(sb)", [[]]],
  ];
  for (const [signature, body] of table) {
    const bytes = encodeMessage({ ...CALL, signature, body });
    assert.equal(messageLen(bytes), bytes.length, signature);
    assert.deepEqual(decodeMessage(bytes), { ...CALL, signature, body }, signature);
  }
});

test("variants are unwrapped", () => {
  const message = decodeMessage(encodeMessage({ ...CALL, signature: "v", body: [new Variant("as", ["x"])] }));
  assert.deepEqual((message as DBusMessage).body, [["x"]]);
});

test("cut, damaged and random octets are values", () => {
  const whole = encodeMessage(CALL);
  for (let len = 0; len < whole.length; len++) {
    const cut = whole.subarray(0, len);
    const known = messageLen(cut);
    assert.ok(typeof known === "number" && known > len, `${len}`);
    if (len >= 16) assert.ok(isMalformed(decodeMessage(cut)), `${len}`);
  }
  const random = seededRandom(20_261_120);
  for (let round = 0; round < 20_000; round++) {
    const damaged = whole.slice();
    const [where = 0, what = 0, count = 0] = random(3);
    for (let i = 0; i <= count % 4; i++) damaged[(where * (i + 1)) % damaged.length] = what + i;
    messageLen(damaged);
    decodeMessage(damaged);
  }
});

test("lengths and depths beyond all reason are refused", () => {
  const long = encodeMessage(CALL);
  new DataView(long.buffer).setUint32(4, 0x7fff_ffff, true);
  assert.deepEqual(messageLen(long), { malformed: "dbus.too-long" });
  assert.deepEqual(messageLen(new Uint8Array(16)), { malformed: "dbus.endian" });
  for (const signature of ["(".repeat(100), "a".repeat(200), "a()", "z", "(", "{sv", "av)"]) {
    const room = "y".repeat(signature.length);
    const bytes = Buffer.from(encodeMessage({ ...CALL, signature: room, body: [...room].map(() => 1) }));
    bytes.write(signature, bytes.indexOf(room));
    assert.ok(isMalformed(decodeMessage(bytes)), signature);
  }
});
