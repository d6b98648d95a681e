import { type Malformed, malformed } from "../base/mod.ts";
import { MAX_DBUS_DEPTH, MAX_DBUS_MESSAGE_LEN } from "./limits.ts";

/**
 * A D-Bus value: `ay` is octets, every other array and a struct a list, a dict
 * a list of pairs, 64-bit integers are bigints.
 */
export type DBusValue = number | bigint | boolean | string | Uint8Array | Variant | readonly DBusValue[];

/** A value that brings its own type. */
export class Variant {
  readonly signature: string;
  readonly value: DBusValue;

  constructor(signature: string, value: DBusValue) {
    this.signature = signature;
    this.value = value;
  }
}

/** A message (D-Bus Specification, "Message Format"); what it lacks is absent. */
export interface DBusMessage {
  readonly type: number;
  readonly serial: number;
  readonly path?: string;
  readonly interface?: string;
  readonly member?: string;
  readonly errorName?: string;
  readonly replySerial?: number;
  readonly destination?: string;
  readonly signature?: string;
  readonly body: readonly DBusValue[];
}

export const MessageType = { call: 1, reply: 2, error: 3, signal: 4 } as const;

const LITTLE_ENDIAN = 0x6c; // "l"
const BIG_ENDIAN = 0x42; // "B"
const VERSION = 1;
const HEADER = "yyyyuua(yv)";
/** Octets before the header fields: four, then body length, serial and the length of the fields. */
const FIXED_LEN = 16;

/** Header fields by code, with their types. */
const FIELDS = [
  [1, "path", "o"],
  [2, "interface", "s"],
  [3, "member", "s"],
  [4, "errorName", "s"],
  [5, "replySerial", "u"],
  [6, "destination", "s"],
  [8, "signature", "g"],
] as const;

/** Little-endian. The values of `body` must fit the signature; that they do is the caller's. */
export function encodeMessage(message: DBusMessage): Uint8Array {
  const body = new Writer();
  const types = splitSignature(message.signature ?? "");
  types.forEach((type, i) => void body.write(type, message.body[i]!));
  const fields = FIELDS.flatMap(([code, name, type]) => {
    const value = message[name];
    return value === undefined ? [] : [[code, new Variant(type, value)]];
  });
  const header = new Writer();
  const start = [LITTLE_ENDIAN, message.type, 0, VERSION, body.octets.length, message.serial, fields];
  splitSignature(HEADER).forEach((type, i) => void header.write(type, start[i]!));
  header.align(8);
  return Uint8Array.from([...header.octets, ...body.octets]);
}

/** Octets of the message that begins here; while there are too few to tell, how many are needed for that. */
export function messageLen(bytes: Uint8Array): number | Malformed {
  if (bytes.length < FIXED_LEN) return FIXED_LEN;
  const [endian] = bytes;
  if (endian !== LITTLE_ENDIAN && endian !== BIG_ENDIAN) return malformed("dbus.endian");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const bodyLen = view.getUint32(4, endian === LITTLE_ENDIAN);
  const fieldsLen = view.getUint32(12, endian === LITTLE_ENDIAN);
  const len = aligned(FIXED_LEN + fieldsLen, 8) + bodyLen;
  return len > MAX_DBUS_MESSAGE_LEN ? malformed("dbus.too-long") : len;
}

/** Exactly one message, as long as `messageLen` says. Variants in the body are unwrapped. */
export function decodeMessage(bytes: Uint8Array): DBusMessage | Malformed {
  try {
    const reader = new Reader(bytes);
    const [, type, , version, , serial, fields] = reader.readAll(HEADER) as [0, number, 0, number, 0, number, Field[]];
    if (version !== VERSION) return malformed("dbus.version");
    const known = fields.flatMap(([code, value]) => {
      const field = FIELDS.find(([wanted]) => wanted === code);
      return field === undefined ? [] : [[field[1], value]];
    });
    const header = Object.fromEntries(known) as Partial<DBusMessage>;
    if (typeof (header.signature ?? "") !== "string") return malformed("dbus.signature");
    reader.align(8);
    return { ...header, type, serial, body: reader.readAll(header.signature ?? "") };
  } catch (error) {
    if (error instanceof Cut) return malformed(error.message);
    throw error;
  }
}

type Field = [code: number, value: DBusValue];

const aligned = (at: number, to: number) => Math.ceil(at / to) * to;

function alignment(type: string): number {
  switch (type[0]) {
    case "y":
    case "g":
    case "v":
      return 1;
    case "n":
    case "q":
      return 2;
    case "x":
    case "t":
    case "d":
    case "(":
    case "{":
      return 8;
    default:
      return 4;
  }
}

/** The complete types of a signature: "ia(sb)" is "i" and "a(sb)". @throws {Cut} */
function splitSignature(signature: string): string[] {
  const types: string[] = [];
  for (let at = 0; at < signature.length; ) {
    const end = typeEnd(signature, at, 0);
    types.push(signature.slice(at, end));
    at = end;
  }
  return types;
}

function typeEnd(signature: string, at: number, depth: number): number {
  const first = signature[at];
  if (first === undefined || depth > MAX_DBUS_DEPTH) throw new Cut("dbus.signature");
  if (first === "a") return typeEnd(signature, at + 1, depth + 1);
  if (first !== "(" && first !== "{") return at + 1;
  const close = first === "(" ? ")" : "}";
  let end = at + 1;
  while (signature[end] !== close) end = typeEnd(signature, end, depth + 1);
  return end + 1;
}

/** Marshals (D-Bus Specification, "Marshaling") the types that the calls of this layer need. */
class Writer {
  readonly octets: number[] = [];

  align(to: number): void {
    while (this.octets.length % to !== 0) this.octets.push(0);
  }

  write(type: string, value: DBusValue): void {
    this.align(alignment(type));
    switch (type[0]) {
      case "y":
        this.octets.push(value as number);
        return;
      case "b":
      case "i":
      case "u":
        this.#uint32(Number(value));
        return;
      case "s":
      case "o":
        this.#text(value as string);
        return;
      case "g":
        this.#signature(value as string);
        return;
      case "v": {
        const { signature, value: inner } = value as Variant;
        this.#signature(signature);
        this.write(signature, inner);
        return;
      }
      case "a":
        this.#array(type.slice(1), value as readonly DBusValue[]);
        return;
      case "(":
        splitSignature(type.slice(1, -1)).forEach((inner, i) => {
          this.write(inner, (value as readonly DBusValue[])[i]!);
        });
        return;
      default:
        throw new RangeError(`the D-Bus type ${type} is not sent by anything here`);
    }
  }

  #uint32(value: number): void {
    this.octets.push(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff);
  }

  #text(text: string): void {
    const bytes = Buffer.from(text);
    this.#uint32(bytes.length);
    this.octets.push(...bytes, 0);
  }

  #signature(text: string): void {
    this.octets.push(text.length, ...Buffer.from(text), 0);
  }

  #array(inner: string, values: Iterable<DBusValue>): void {
    const lenAt = this.octets.length;
    this.#uint32(0);
    this.align(alignment(inner)); // Not counted in the length, and there even for an empty array.
    const start = this.octets.length;
    for (const value of values) this.write(inner, value);
    const len = new Writer();
    len.#uint32(this.octets.length - start);
    this.octets.splice(lenAt, 4, ...len.octets);
  }
}

/** Never leaves this file. */
class Cut extends Error {}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #little: boolean;
  #at = 0;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#little = bytes[0] === LITTLE_ENDIAN;
  }

  readAll(signature: string): DBusValue[] {
    return splitSignature(signature).map((type) => this.#read(type));
  }

  align(to: number): void {
    this.#take(aligned(this.#at, to) - this.#at);
  }

  /** Where the next `len` octets begin. */
  #take(len: number): number {
    const at = this.#at;
    if (at + len > this.#bytes.length) throw new Cut("dbus.truncated");
    this.#at += len;
    return at;
  }

  #read(type: string): DBusValue {
    this.align(alignment(type));
    switch (type[0]) {
      case "y":
        return this.#view.getUint8(this.#take(1));
      case "n":
        return this.#view.getInt16(this.#take(2), this.#little);
      case "q":
        return this.#view.getUint16(this.#take(2), this.#little);
      case "b":
        return this.#uint32() !== 0;
      case "i":
        return this.#view.getInt32(this.#take(4), this.#little);
      case "u":
      case "h":
        return this.#uint32();
      case "x":
        return this.#view.getBigInt64(this.#take(8), this.#little);
      case "t":
        return this.#view.getBigUint64(this.#take(8), this.#little);
      case "d":
        return this.#view.getFloat64(this.#take(8), this.#little);
      case "s":
      case "o":
        return this.#text(this.#uint32());
      case "g":
        return this.#text(this.#view.getUint8(this.#take(1)));
      default:
        return this.#readNested(type);
    }
  }

  #readNested(type: string): DBusValue {
    if (++this.#depth > MAX_DBUS_DEPTH) throw new Cut("dbus.too-deep");
    try {
      if (type[0] === "v") return this.#variant();
      if (type[0] === "a") return this.#array(type.slice(1));
      if (type[0] === "(" || type[0] === "{") return this.readAll(type.slice(1, -1));
      throw new Cut("dbus.type");
    } finally {
      this.#depth--;
    }
  }

  #uint32(): number {
    return this.#view.getUint32(this.#take(4), this.#little);
  }

  #text(len: number): string {
    const at = this.#take(len + 1); // and a zero
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + at, len).toString("utf8");
  }

  #variant(): DBusValue {
    const types = splitSignature(this.#read("g") as string);
    if (types.length !== 1) throw new Cut("dbus.variant");
    return this.#read(types[0]!);
  }

  #array(inner: string): DBusValue {
    const len = this.#uint32();
    this.align(alignment(inner));
    if (inner === "y") {
      const at = this.#take(len);
      return this.#bytes.slice(at, at + len);
    }
    const end = this.#at + len;
    if (end > this.#bytes.length) throw new Cut("dbus.truncated");
    const values: DBusValue[] = [];
    while (this.#at < end) {
      const before = this.#at;
      values.push(this.#read(inner));
      if (this.#at === before) throw new Cut("dbus.type"); // "()" takes no octets: it would never end.
    }
    if (this.#at !== end) throw new Cut("dbus.array");
    return values;
  }
}
