import assert from "node:assert/strict";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import * as tls from "node:tls";
import fc from "fast-check";
import { isMalformed } from "../base/mod.ts";
import { parseClientHello } from "./client-hello.ts";

/** What this Node's OpenSSL sends first. */
async function realHello(options: tls.ConnectionOptions): Promise<Buffer> {
  const first = Promise.withResolvers<Buffer>();
  const server = createServer((socket) => {
    let bytes = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("data", (piece) => {
      bytes = Buffer.concat([bytes, piece as Buffer]);
      if (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt16BE(3)) {
        first.resolve(bytes);
        socket.destroy();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = tls.connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", ...options });
  client.on("error", () => {});
  const bytes = await first.promise;
  server.close();
  return bytes;
}

const ROUTE = `r1.${"A".repeat(64)}`;
const postQuantum = await realHello({
  servername: "proxy.example.test",
  ALPNProtocols: ["tp-link/1", ROUTE],
  ecdhCurve: "X25519MLKEM768:X25519",
});
const EXPECTED = { serverName: "proxy.example.test", alpn: ["tp-link/1", ROUTE], length: postQuantum.length };

/** The handshake message of `hello` again, in records of `recordLen` octets. */
function inRecords(hello: Buffer, recordLen: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += recordLen) {
    const part = message.subarray(at, at + recordLen);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part);
  }
  return Buffer.concat(records);
}

/** A ClientHello with these extensions only. */
function made(extensions: Array<[type: number, body: number[] | Buffer]>, tail = Buffer.alloc(0)): Buffer {
  const u16 = (n: number) => Buffer.from([n >> 8, n & 0xff]);
  const list = Buffer.concat(
    extensions.flatMap(([type, body]) => [u16(type), u16(body.length), Buffer.from(body as number[])]),
  );
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    Buffer.from([0, 0, 2, 0x13, 0x01, 1, 0]),
    u16(list.length),
    list,
    tail,
  ]);
  const message = Buffer.concat([Buffer.from([1, 0]), u16(body.length), body]);
  return inRecords(Buffer.concat([Buffer.alloc(5), message]), 16_384);
}

test("a post-quantum hello of this OpenSSL does not fit one segment and is read", () => {
  assert.ok(postQuantum.length > 1400, `${postQuantum.length} octets`);
  assert.deepEqual(parseClientHello(postQuantum), EXPECTED);
});

test("plain hellos: without a name, without ALPN, TLS 1.2", async () => {
  const bare = await realHello({ ecdhCurve: "X25519" });
  assert.deepEqual(parseClientHello(bare), { serverName: undefined, alpn: [], length: bare.length });
  const old = await realHello({ maxVersion: "TLSv1.2", servername: "a.b", ALPNProtocols: ["http/1.1"] });
  assert.deepEqual(parseClientHello(old), { serverName: "a.b", alpn: ["http/1.1"], length: old.length });
});

test("every beginning of a hello is incomplete, and nothing but the whole is a hello", () => {
  for (const hello of [postQuantum, inRecords(postQuantum, 100)]) {
    for (let length = 0; length < hello.length; length++) {
      assert.equal(parseClientHello(hello.subarray(0, length)), "incomplete", `${length} of ${hello.length}`);
    }
    assert.deepEqual(parseClientHello(hello), { ...EXPECTED, length: hello.length });
  }
});

test("the records may cut the message anywhere", () => {
  for (const recordLen of [54, 55, 100, 511, 1000, postQuantum.length - 6]) {
    const cut = inRecords(postQuantum, recordLen);
    assert.deepEqual(parseClientHello(cut), { ...EXPECTED, length: cut.length }, `records of ${recordLen}`);
  }
});

test("octets after the hello are left alone", () => {
  const more = Buffer.concat([postQuantum, Buffer.from([20, 3, 3, 0, 1, 1])]);
  assert.deepEqual(parseClientHello(more), EXPECTED);
});

const SNI = (name: string) => {
  const bytes = Buffer.from(name, "latin1");
  return Buffer.concat([Buffer.from([0, bytes.length + 3, 0, 0, bytes.length]), bytes]);
};

/** Its last extension claims more octets than there are. */
function unfinished(): Buffer {
  const bytes = made([[0xffff, []]]);
  return bytes.fill(0xff, bytes.length - 2);
}

const REFUSED: Array<[reason: string, bytes: Buffer]> = [
  ["hello.not-handshake", Buffer.from("GET / HTTP/1.1\r\n")],
  ["hello.version", Buffer.from([22, 2])],
  ["hello.record-length", Buffer.from([22, 3, 1, 0x40, 0x01])],
  ["hello.empty-record", Buffer.from([22, 3, 1, 0, 0])],
  ["hello.not-client-hello", Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])],
  ["hello.too-long", Buffer.from([22, 3, 1, 0, 4, 1, 0, 0x40, 0x01])],
  ["hello.too-long", made([[21, Buffer.alloc(16_340)]])],
  ["hello.records", inRecords(postQuantum, 20)],
  ["hello.syntax", Buffer.from([22, 3, 1, 0, 4, 1, 0, 0, 0])],
  ["hello.syntax", made([], Buffer.from([0]))],
  ["hello.trailing-octets", Buffer.from([22, 3, 1, 0, 5, 1, 0, 0, 0, 0])],
  ["hello.extension", unfinished()],
  [
    "hello.extension-twice",
    made([
      [5, []],
      [5, []],
    ]),
  ],
  ["hello.server-name", made([[0, []]])],
  ["hello.server-name", made([[0, SNI("")]])],
  ["hello.server-name", made([[0, SNI("a..b")]])],
  ["hello.server-name", made([[0, SNI("a/b")]])],
  ["hello.server-name", made([[0, SNI("proxy.example.test\0evil")]])],
  ["hello.server-name", made([[0, [...SNI("a"), 1]]])],
  ["hello.alpn", made([[16, []]])],
  ["hello.alpn", made([[16, [0, 0]]])],
  ["hello.alpn", made([[16, [0, 1, 0]]])],
  ["hello.alpn", made([[16, [0, 3, 5, 65, 66]]])],
  ["hello.alpn-entries", made([[16, [0, 34, ...Array.from({ length: 17 }, () => [1, 65]).flat()]]])],
];

for (const [reason, bytes] of REFUSED) {
  test(`refused: ${reason} (${bytes.length} octets)`, () => {
    assert.deepEqual(parseClientHello(bytes), { malformed: reason });
  });
}

test("a changed octet never throws", () => {
  fc.assert(
    fc.property(fc.nat(postQuantum.length - 1), fc.nat(255), (at, value) => {
      const changed = Buffer.from(postQuantum);
      changed[at] = value;
      const got = parseClientHello(changed);
      assert.ok(got === "incomplete" || isMalformed(got) || got.length <= changed.length);
    }),
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void parseClientHello(bytes)));
});
