import { MAX_DBUS_DEPTH } from "./limits.ts";

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

export const aligned = (at: number, to: number) => Math.ceil(at / to) * to;

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
export function splitSignature(signature: string): string[] {
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
export class Writer {
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

/** Octets or a signature that are no values. Never leaves the codec. */
export class Cut extends Error {}

/** Unmarshals what a peer sent, and throws `Cut` where it is not what it says. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #little: boolean;
  #at = 0;
  #depth = 0;

  constructor(bytes: Uint8Array, little: boolean) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#little = little;
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
