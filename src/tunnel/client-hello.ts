import { type Malformed, malformed } from "../base/mod.ts";
import { MAX_ALPN_ENTRIES, MAX_CLIENT_HELLO, MAX_HELLO_RECORDS } from "./limits.ts";

export interface ClientHello {
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
  /** Octets of the TLS records that held it; later octets may follow on the socket. */
  readonly length: number;
}

const CONTENT_HANDSHAKE = 22;
const RECORD_HEADER_LEN = 5;
/** RFC 8446 §5.1: a plaintext record carries at most 2^14 octets. */
const MAX_RECORD = 16_384;
const HANDSHAKE_HEADER_LEN = 4;
const TYPE_CLIENT_HELLO = 1;
const EXTENSION_SERVER_NAME = 0;
const EXTENSION_ALPN = 16;

/** The first octet of every TLS connection. */
export function beginsTls(bytes: Uint8Array): boolean {
  return bytes[0] === CONTENT_HANDSHAKE;
}

/**
 * Reads a ClientHello (RFC 8446 §4.1.2) from the start of a connection, over as
 * many TLS records as it takes, without taking part in the handshake.
 */
export function parseClientHello(bytes: Uint8Array): ClientHello | "incomplete" | Malformed {
  const message = joinRecords(bytes);
  if (message === "incomplete" || "malformed" in message) return message;
  const hello = parseMessage(new Reader(message.body));
  return "malformed" in hello ? hello : { ...hello, length: message.length };
}

/** The handshake message that begins the connection, without its header; `length` counts the records. */
function joinRecords(bytes: Uint8Array): { body: Uint8Array; length: number } | "incomplete" | Malformed {
  const parts: Uint8Array[] = [];
  let have = 0;
  let need = HANDSHAKE_HEADER_LEN;
  let at = 0;
  while (have < need) {
    const bad = checkRecord(bytes, at);
    if (bad) return bad;
    if (bytes.length - at < RECORD_HEADER_LEN) return "incomplete";
    const length = bytes[at + 3]! * 256 + bytes[at + 4]!;
    const end = at + RECORD_HEADER_LEN + length;
    if (end > MAX_CLIENT_HELLO) return malformed("hello.too-long");
    if (parts.length === MAX_HELLO_RECORDS) return malformed("hello.records");
    parts.push(bytes.subarray(at + RECORD_HEADER_LEN, end));
    have += Math.min(length, bytes.length - at - RECORD_HEADER_LEN);
    if (have >= HANDSHAKE_HEADER_LEN && need === HANDSHAKE_HEADER_LEN) {
      const size = messageLen(Buffer.concat(parts));
      if (typeof size !== "number") return size;
      need += size;
    }
    if (end > bytes.length) return "incomplete";
    at = end;
  }
  // A second message in the same record cannot be: the client waits for an answer.
  if (have > need) return malformed("hello.trailing-octets");
  return { body: Buffer.concat(parts).subarray(HANDSHAKE_HEADER_LEN), length: at };
}

/** Refuses a bad record header as soon as the octets for it are there. */
function checkRecord(bytes: Uint8Array, at: number): Malformed | undefined {
  if (at < bytes.length && bytes[at] !== CONTENT_HANDSHAKE) return malformed("hello.not-handshake");
  if (at + 1 < bytes.length && bytes[at + 1] !== 3) return malformed("hello.version");
  if (at + 4 >= bytes.length) return undefined;
  const length = bytes[at + 3]! * 256 + bytes[at + 4]!;
  if (length === 0) return malformed("hello.empty-record");
  return length > MAX_RECORD ? malformed("hello.record-length") : undefined;
}

function messageLen(message: Uint8Array): number | Malformed {
  if (message[0] !== TYPE_CLIENT_HELLO) return malformed("hello.not-client-hello");
  const length = message[1]! * 65_536 + message[2]! * 256 + message[3]!;
  return length > MAX_CLIENT_HELLO ? malformed("hello.too-long") : length;
}

function parseMessage(reader: Reader): Omit<ClientHello, "length"> | Malformed {
  reader.skip(2 + 32); // legacy_version, random
  reader.vector(1); // legacy_session_id
  reader.vector(2); // cipher_suites
  reader.vector(1); // legacy_compression_methods
  let serverName: string | undefined;
  let alpn: string[] = [];
  const extensions = reader.atEnd ? new Reader(new Uint8Array(0)) : new Reader(reader.vector(2));
  if (reader.failed || !reader.atEnd) return malformed("hello.syntax");
  const seen = new Set<number>();
  while (!extensions.atEnd) {
    const type = extensions.number(2);
    const body = new Reader(extensions.vector(2));
    if (extensions.failed) return malformed("hello.extension");
    if (seen.has(type)) return malformed("hello.extension-twice"); // RFC 8446 §4.2
    seen.add(type);
    if (type === EXTENSION_SERVER_NAME) {
      const name = parseServerName(body);
      if (typeof name !== "string") return name;
      serverName = name;
    } else if (type === EXTENSION_ALPN) {
      const list = parseAlpn(body);
      if (!Array.isArray(list)) return list;
      alpn = list;
    }
  }
  return { serverName, alpn };
}

/** RFC 6066 §3: a list with one host name. */
function parseServerName(body: Reader): string | Malformed {
  const list = new Reader(body.vector(2));
  const type = list.number(1);
  const name = list.vector(2);
  if (body.failed || list.failed || !body.atEnd || !list.atEnd || type !== 0) return malformed("hello.server-name");
  const text = Buffer.from(name).toString("latin1").toLowerCase();
  return /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(text) && text.length <= 255 ? text : malformed("hello.server-name");
}

/** RFC 7301 §3.1. */
function parseAlpn(body: Reader): string[] | Malformed {
  const list = new Reader(body.vector(2));
  if (body.failed || !body.atEnd || list.atEnd) return malformed("hello.alpn");
  const names: string[] = [];
  while (!list.atEnd) {
    const name = list.vector(1);
    if (list.failed || name.length === 0) return malformed("hello.alpn");
    if (names.length === MAX_ALPN_ENTRIES) return malformed("hello.alpn-entries");
    names.push(Buffer.from(name).toString("latin1"));
  }
  return names;
}

/** Reads numbers and vectors (RFC 8446 §3.4); after a read past the end it has `failed` and yields nothing. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.failed || this.#at === this.#bytes.length;
  }

  skip(octets: number): Uint8Array {
    const from = this.#at;
    if (this.#bytes.length - from < octets) {
      this.failed = true;
      return this.#bytes.subarray(0, 0);
    }
    this.#at += octets;
    return this.#bytes.subarray(from, this.#at);
  }

  number(octets: number): number {
    return this.skip(octets).reduce((value, octet) => value * 256 + octet, 0);
  }

  vector(lengthOctets: number): Uint8Array {
    return this.skip(this.number(lengthOctets));
  }
}
