import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, fromHex, isMalformed } from "../../base/mod.ts";
import { addWords, checksumOf, fold, pseudoHeaderSum } from "./checksum.ts";
import { decodeIcmp } from "./icmp.ts";
import { decodeIp } from "./ip.ts";
import { encodeIp4 } from "./ip4.ts";
import { encodeIp6 } from "./ip6.ts";
import { put16, u16 } from "./octets.ts";
import { ACK, decodeTcp, encodeTcp, SYN } from "./tcp.ts";
import { encodeTcpOptions, NO_OPTIONS, tcpOptionsLen } from "./tcp-options.ts";
import { decodeUdp } from "./udp.ts";
import { decodeVirtio, encodeVirtio } from "./virtio.ts";

// Frames of connect() to port 80 as Linux 6.18 handed them to a TUN with checksum offload.
const LINUX_SYN4 =
  "01000000000014001000 4500003c6f8040004006b67d0a5e00010a5e0002 d2aa00502b731df700000000a002faf014ed0000" +
  "020405b40402080a9b06eb93000000000103030a";
const LINUX_SYN6 =
  "01000000000028001000 600f182700280640fd940000000000000000000000000001fd940000000000000000000000000002" +
  "acd60050eb7d35c400000000a002fd20fb5a0000 020405a00402080a3a474bcb000000000103030a";

function ip4(edit: (header: Uint8Array) => void, body = new Uint8Array(8)): Uint8Array {
  const packet = concat(new Uint8Array(20), body);
  packet.set(fromHex("c0a80001c0a800c7"), 12);
  encodeIp4(packet, 0, 6, packet.length);
  edit(packet);
  put16(packet, 10, 0);
  put16(packet, 10, checksumOf(addWords(0, packet, 0, Math.max(20, (packet[0]! & 15) * 4))));
  return packet;
}

function ip6(nextHeader: number, payload: Uint8Array, edit: (packet: Uint8Array) => void = () => {}): Uint8Array {
  const packet = concat(new Uint8Array(40), payload);
  encodeIp6(packet, 0, nextHeader, payload.length);
  edit(packet);
  return packet;
}

test("IPv4 headers, good and bad", () => {
  const good = decodeIp(
    ip4(() => {}),
    0,
  );
  assert.ok(!isMalformed(good));
  assert.deepEqual([good.version, good.protocol, good.bodyAt, good.end, good.addressesAt], [4, 6, 20, 28, 12]);

  const withOptions = ip4((h) => {
    h[0] = 0x46;
  });
  const options = decodeIp(withOptions, 0);
  assert.ok(!isMalformed(options));
  assert.equal(options.bodyAt, 24);

  for (const [reason, edit] of [
    ["ip.version", (h) => (h[0] = 0x55)],
    ["ip4.header-length", (h) => (h[0] = 0x44)],
    ["ip4.header-length", (h) => (h[0] = 0x48)],
    ["ip4.total-length", (h) => (h[3] = 29)],
    ["ip4.header-length", (h) => (h[3] = 19)],
  ] as [string, (h: Uint8Array) => void][]) {
    assert.deepEqual(decodeIp(ip4(edit), 0), { malformed: reason });
  }
  const damaged = ip4(() => {});
  damaged[11]! ^= 1;
  assert.deepEqual(decodeIp(damaged, 0), { malformed: "ip4.checksum" });
  const padded = decodeIp(
    concat(
      ip4(() => {}),
      new Uint8Array(9),
    ),
    0,
  );
  assert.ok(!isMalformed(padded));
  assert.equal(padded.end, 28, "padding is not part of the packet");
});

test("frames of the kernel's are read", () => {
  for (const [hex, version, mss, bodyAt] of [
    [LINUX_SYN4, 4, 1460, 30],
    [LINUX_SYN6, 6, 1440, 50],
  ] as const) {
    const frame = fromHex(hex);
    const virtio = decodeVirtio(frame);
    assert.ok(!isMalformed(virtio));
    assert.deepEqual([virtio.flags, virtio.csumStart, virtio.csumOffset], [1, bodyAt - 10, 16]);
    const ip = decodeIp(frame, 10);
    assert.ok(!isMalformed(ip));
    assert.deepEqual([ip.version, ip.protocol, ip.bodyAt, ip.end], [version, 6, bodyAt, frame.length]);
    const seg = decodeTcp(frame, ip.bodyAt, ip.end);
    assert.ok(!isMalformed(seg));
    assert.deepEqual([seg.dstPort, seg.flags, seg.mss, seg.windowScale, seg.textLen], [80, SYN, mss, 10, 0]);
    const pseudo = pseudoHeaderSum(frame, ip.addressesAt, ip.addressLen, 6, ip.end - ip.bodyAt);
    assert.equal(u16(frame, ip.bodyAt + 16), fold(pseudo), "what the device is to complete");
  }
});

test("IPv6 headers and their extensions, good and bad", () => {
  const hopByHop = fromHex("0600 0502 0000 0100");
  const destination = fromHex("0601 0000 0000 0000 0000 0000 0000 0000");
  for (const [packet, bodyAt, protocolOffset] of [
    [ip6(6, new Uint8Array(20)), 40, 6],
    [ip6(0, concat(hopByHop, new Uint8Array(20))), 48, 40],
    [ip6(60, concat(destination, new Uint8Array(20))), 56, 40],
    [ip6(43, concat(fromHex("0600 0000 0000 0000"), new Uint8Array(20))), 48, 40],
    [ip6(44, concat(fromHex("0600 0006 1234 5678"), new Uint8Array(20))), 48, 40],
  ] as const) {
    const decoded = decodeIp(packet, 0);
    assert.ok(!isMalformed(decoded), JSON.stringify(decoded));
    assert.deepEqual(
      [decoded.protocol, decoded.bodyAt, decoded.end, decoded.protocolOffset],
      [6, bodyAt, packet.length, protocolOffset],
    );
  }
  const chain = (n: number) => concat(...Array.from({ length: n }, () => fromHex("3c00 0104 0000 0000")));
  for (const [reason, packet] of [
    ["ip6.truncated", ip6(6, new Uint8Array(0)).subarray(0, 39)],
    ["ip6.payload-length", ip6(6, new Uint8Array(20)).subarray(0, 59)],
    ["ip6.extension-truncated", ip6(0, new Uint8Array(7))],
    ["ip6.extension-length", ip6(0, fromHex("0601 0502 0000 0100"))],
    ["ip6.routing", ip6(43, concat(fromHex("0600 0001 0000 0000"), new Uint8Array(20)))],
    ["ip6.extension-headers", ip6(60, concat(chain(9), new Uint8Array(20)))],
  ] as const) {
    assert.deepEqual(decodeIp(packet, 0), { malformed: reason });
  }
});

test("fragments are recognised, whole packets with a fragment header are not", () => {
  const whole = decodeIp(ip6(44, concat(fromHex("0600 0006 1234 5678"), new Uint8Array(20))), 0);
  assert.ok(!isMalformed(whole));
  assert.equal(whole.fragmentAt, 0);
  for (const [packet, fragmentAt, bodyAt, protocolOffset] of [
    [ip4((h) => (h[6] = 0x20)), 4, 20, 9],
    [ip4((h) => (h[7] = 1)), 4, 20, 9],
    [ip6(44, concat(fromHex("0600 0001 0000 0001"), new Uint8Array(20))), 40, 48, 6],
    [ip6(0, concat(fromHex("2c00 0000 0000 0000 1100 0008 0000 0001"), new Uint8Array(8))), 48, 56, 40],
  ] as const) {
    const decoded = decodeIp(packet, 0);
    assert.ok(!isMalformed(decoded));
    assert.deepEqual(
      [decoded.fragmentAt, decoded.bodyAt, decoded.protocolOffset],
      [fragmentAt, bodyAt, protocolOffset],
    );
  }
});

test("TCP headers and SYN options, good and bad", () => {
  const segment = (options: string, flags = SYN) => {
    const bytes = concat(new Uint8Array(20), fromHex(options), Uint8Array.of(7, 7));
    const header = { srcPort: 1, dstPort: 2, seq: 0xfffffffe, ack: 0x80000001, flags, wnd: 65_535 };
    encodeTcp(bytes, 0, header, bytes.length - 2);
    return bytes;
  };
  const decode = (bytes: Uint8Array) => decodeTcp(bytes, 0, bytes.length);
  // Linux's own: MSS 1460, SACK permitted, timestamps, NOP, window scale 7.
  const linux = decode(segment("020405b4 0402 080a 9b3ac1ef00000000 01 030307"));
  assert.ok(!isMalformed(linux));
  assert.deepEqual(linux, {
    srcPort: 1,
    dstPort: 2,
    seq: 0xfffffffe,
    ack: 0x80000001,
    flags: SYN,
    wnd: 65_535,
    mss: 1460,
    windowScale: 7,
    sackPermitted: true,
    tsVal: 0x9b3ac1ef,
    tsEcr: 0,
    sack: undefined,
    textAt: 40,
    textLen: 2,
  });
  const big = decode(segment("0303ff 00"));
  assert.ok(!isMalformed(big));
  assert.equal(big.windowScale, 14, "RFC 7323 §2.3");
  const ended = decode(segment("00 ffffff"));
  assert.ok(!isMalformed(ended));
  const notSyn = decode(segment("020405b4 01 030307 0402 0000", ACK));
  assert.ok(!isMalformed(notSyn));
  assert.deepEqual([notSyn.mss, notSyn.windowScale, notSyn.sackPermitted], [undefined, undefined, false]);
  const sack = decode(segment("01 01 05 0a 00000005 ffffffff 01 01", ACK));
  assert.ok(!isMalformed(sack));
  assert.deepEqual(sack.sack, [5, 0xffffffff]);
  const odd = decode(segment("05 08 00000005 ffff", ACK));
  assert.ok(!isMalformed(odd));
  assert.equal(odd.sack, undefined);

  assert.deepEqual(decode(segment("02ff 0000")), { malformed: "tcp.option-length" });
  assert.deepEqual(decode(segment("0200 0000")), { malformed: "tcp.option-length" });
  assert.deepEqual(decode(segment("010101 02")), { malformed: "tcp.option-truncated" });
  assert.deepEqual(decode(new Uint8Array(19)), { malformed: "tcp.truncated" });
  for (const offset of [0x40, 0x70]) {
    const bytes = segment("");
    bytes[12] = offset;
    assert.deepEqual(decode(bytes), { malformed: "tcp.data-offset" });
  }
  assert.deepEqual(decodeTcp(segment(""), 0, 23), { malformed: "tcp.truncated" }, "beyond the buffer");
});

test("our options are what their decoder reads", () => {
  for (const options of [
    NO_OPTIONS,
    { ...NO_OPTIONS, mss: 1440 },
    { ...NO_OPTIONS, mss: 1440, windowScale: 8 },
    { mss: 65_495, windowScale: 0, sackPermitted: true, tsVal: 0xfffffffe, tsEcr: 0x80000001, sack: undefined },
    { ...NO_OPTIONS, tsVal: 0, tsEcr: 5 },
    { ...NO_OPTIONS, tsVal: 1, tsEcr: 5, sack: [1, 2, 3, 4, 0xfffffff0, 6] },
    { ...NO_OPTIONS, sack: [1, 2, 3, 4, 5, 6, 7, 8] },
  ]) {
    const bytes = new Uint8Array(20 + tcpOptionsLen(options));
    assert.ok(bytes.length <= 60);
    const flags = options.mss === undefined ? ACK : SYN;
    encodeTcp(bytes, 0, { srcPort: 1, dstPort: 2, seq: 0, ack: 0, flags, wnd: 1 }, bytes.length);
    encodeTcpOptions(bytes, 20, options);
    const decoded = decodeTcp(bytes, 0, bytes.length);
    assert.ok(!isMalformed(decoded));
    const { mss, windowScale, sackPermitted, tsVal, tsEcr, sack, textLen } = decoded;
    assert.deepEqual({ mss, windowScale, sackPermitted, tsVal, tsEcr, sack }, options);
    assert.equal(textLen, 0);
  }
});

test("UDP, ICMP and virtio headers, good and bad", () => {
  const udp = fromHex("3039 0035 000a abcd 0102 0304");
  assert.deepEqual(decodeUdp(udp, 0, 12), {
    srcPort: 12_345,
    dstPort: 53,
    checksum: 0xabcd,
    payloadAt: 8,
    payloadLen: 2, // what the length says, not what is there
  });
  assert.deepEqual(decodeUdp(udp, 0, 7), { malformed: "udp.truncated" });
  assert.deepEqual(decodeUdp(udp, 0, 9), { malformed: "udp.length" });
  assert.deepEqual(decodeUdp(fromHex("3039 0035 0007 abcd"), 0, 8), { malformed: "udp.length" });

  assert.deepEqual(decodeIcmp(fromHex("0800 0000 0000 0000"), 0, 8), { type: 8, code: 0 });
  assert.deepEqual(decodeIcmp(fromHex("0800 0000 0000 00"), 0, 7), { malformed: "icmp.truncated" });

  const header = { flags: 1, gsoType: 4, hdrLen: 74, gsoSize: 1440, csumStart: 40, csumOffset: 16 };
  const frame = new Uint8Array(10);
  encodeVirtio(frame, header);
  assert.deepEqual(frame, fromHex("01 04 4a00 a005 2800 1000"), "little-endian");
  assert.deepEqual(decodeVirtio(frame), header);
  frame[1] = 0x84; // ECN beside the type
  assert.deepEqual(decodeVirtio(frame), header);
  frame[1] = 3; // UDP fragmentation
  assert.deepEqual(decodeVirtio(frame), { malformed: "virtio.gso-type" });
  assert.deepEqual(decodeVirtio(frame.subarray(0, 9)), { malformed: "virtio.truncated" });
});
