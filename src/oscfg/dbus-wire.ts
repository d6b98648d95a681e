import { type Malformed, malformed } from "../base/mod.ts";
import { aligned, Cut, type DBusValue, Reader, splitSignature, Variant, Writer } from "./dbus-values.ts";
import { MAX_DBUS_MESSAGE_LEN } from "./limits.ts";

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
    const reader = new Reader(bytes, bytes[0] === LITTLE_ENDIAN);
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
