import { decodeUtf8, encodeUtf8, type Malformed, malformed, type ResetReason } from "../base/mod.ts";
import { type GoawayCode, goawayCodes, type RefusalCode, refusalCodes, resetCodes } from "./codes.ts";
import { HEADER_LEN, MAX_PAYLOAD, MAX_TEXT } from "./limits.ts";

/** A receiver that does not know the type must close the link; without the bit it skips the frame. */
const MUST_UNDERSTAND = 0x80;
/** Frames without this bit are numbered, implicitly and in order, and are acknowledged. Holds for unknown types too. */
const UNNUMBERED = 0x40;

/** Octets: versions 2 + 2, features 4, instance 8, resume 4, transports 2. The first 16 are always there. */
const HELLO_LEN = 22;
/** Octets: link 16, transport 2, generation 4, received 8, proof 32. */
const ATTACH_LEN = 62;
/** Octets: received 8, proof 32. */
const ATTACHED_LEN = 40;

export const TYPE = {
  OPEN: 0x81,
  OPENED: 0x82,
  REFUSED: 0x83,
  DATA: 0x84,
  WINDOW: 0x85,
  FIN: 0x86,
  RESET: 0x87,
  HELLO: 0xc1,
  ATTACH: 0xc2,
  ATTACHED: 0xc3,
  ACK: 0xc4,
  PING: 0xc5,
  PONG: 0xc6,
  GOAWAY: 0xc7,
  LINK_GONE: 0xc8,
} as const;

/** Every frame but DATA, which `writeDataHeader` makes and the link reads in place. */
export type Frame =
  | { type: "open"; stream: number; port: number; window: number }
  | { type: "opened"; stream: number; window: number }
  | { type: "refused"; stream: number; code: RefusalCode; text: string }
  /** `offset`: octets of the stream that its sender may have sent in all. */
  | { type: "window"; stream: number; offset: number }
  /** `offset`: octets of the stream in all. */
  | { type: "fin"; stream: number; offset: number }
  | { type: "reset"; stream: number; reason: ResetReason }
  | {
      type: "hello";
      minVersion: number;
      maxVersion: number;
      features: number;
      instance: Uint8Array;
      /** How long its sender keeps a link without a carrier; 0: not at all. */
      resumeMs: number;
      /** Transports its sender wants at most. */
      transports: number;
    }
  /** `received`: numbered frames taken into memory. */
  | { type: "ack"; received: number }
  | { type: "ping" | "pong"; id: number }
  | { type: "goaway"; code: GoawayCode; text: string }
  /** Client, first on a new carrier of a living link. `received`: as in ACK. `link` has 16 octets, `proof` 32. */
  | { type: "attach"; link: Uint8Array; transport: number; generation: number; received: number; proof: Uint8Array }
  | { type: "attached"; received: number; proof: Uint8Array }
  /** The link of an ATTACH is not known here. */
  | { type: "link-gone" };

export function isNumbered(type: number): boolean {
  return (type & UNNUMBERED) === 0;
}

/**
 * One frame after its header; `undefined` for one that may be skipped. `instance`
 * aliases `payload`.
 */
export function decodeFrame(type: number, stream: number, payload: Uint8Array): Frame | Malformed | undefined {
  const rule = RULES.get(type);
  if (rule === undefined) return type & MUST_UNDERSTAND ? malformed("link.unknown-frame") : undefined;
  if (payload.length < rule.min || payload.length > rule.max) return malformed("link.frame-length");
  if ((stream !== 0) !== rule.onStream) return malformed("link.frame-stream");
  return rule.decode(stream, new DataView(payload.buffer, payload.byteOffset, payload.byteLength), payload);
}

interface Rule {
  min: number;
  max: number;
  onStream: boolean;
  decode(stream: number, view: DataView, payload: Uint8Array): Frame | Malformed;
}

const RULES = new Map<number, Rule>([
  rule(TYPE.OPEN, 6, 6, true, (stream, view) => ({
    type: "open",
    stream,
    port: view.getUint16(0),
    window: view.getUint32(2),
  })),
  rule(TYPE.OPENED, 4, 4, true, (stream, view) => ({ type: "opened", stream, window: view.getUint32(0) })),
  rule(TYPE.REFUSED, 2, 2 + MAX_TEXT, true, (stream, view, payload) => {
    const text = decodeUtf8(payload.subarray(2));
    if (text === undefined) return malformed("link.text");
    return { type: "refused", stream, code: refusalCodes.name(view.getUint16(0)), text };
  }),
  rule(TYPE.WINDOW, 8, 8, true, (stream, view) =>
    withOffset(view, 0, (offset): Frame => ({ type: "window", stream, offset })),
  ),
  rule(TYPE.FIN, 8, 8, true, (stream, view) =>
    withOffset(view, 0, (offset): Frame => ({ type: "fin", stream, offset })),
  ),
  rule(TYPE.RESET, 2, 2, true, (stream, view) => ({
    type: "reset",
    stream,
    reason: resetCodes.name(view.getUint16(0)),
  })),
  // A later version may append fields.
  rule(TYPE.HELLO, 16, MAX_PAYLOAD, false, (_, view, payload) => ({
    type: "hello",
    minVersion: view.getUint16(0),
    maxVersion: view.getUint16(2),
    features: view.getUint32(4),
    instance: payload.subarray(8, 16),
    resumeMs: payload.length >= HELLO_LEN ? view.getUint32(16) : 0,
    transports: payload.length >= HELLO_LEN ? view.getUint16(20) : 1,
  })),
  rule(TYPE.ACK, 8, 8, false, (_, view) => withOffset(view, 0, (received): Frame => ({ type: "ack", received }))),
  rule(TYPE.PING, 8, 8, false, (_, view) => withOffset(view, 0, (id): Frame => ({ type: "ping", id }))),
  rule(TYPE.PONG, 8, 8, false, (_, view) => withOffset(view, 0, (id): Frame => ({ type: "pong", id }))),
  rule(TYPE.GOAWAY, 2, 2 + MAX_TEXT, false, (_, view, payload) => {
    const text = decodeUtf8(payload.subarray(2));
    if (text === undefined) return malformed("link.text");
    return { type: "goaway", code: goawayCodes.name(view.getUint16(0)), text };
  }),
  rule(TYPE.ATTACH, ATTACH_LEN, ATTACH_LEN, false, (_, view, payload) =>
    withOffset(
      view,
      22,
      (received): Frame => ({
        type: "attach",
        link: payload.subarray(0, 16),
        transport: view.getUint16(16),
        generation: view.getUint32(18),
        received,
        proof: payload.subarray(30),
      }),
    ),
  ),
  rule(TYPE.ATTACHED, ATTACHED_LEN, ATTACHED_LEN, false, (_, view, payload) =>
    withOffset(view, 0, (received): Frame => ({ type: "attached", received, proof: payload.subarray(8) })),
  ),
  rule(TYPE.LINK_GONE, 0, 0, false, () => ({ type: "link-gone" })),
]);

function rule(
  type: number,
  min: number,
  max: number,
  onStream: boolean,
  decode: Rule["decode"],
): readonly [number, Rule] {
  return [type, { min, max, onStream, decode }];
}

/** 64 bits on the wire, of which a number holds 53: more octets than any stream or link carries. */
function withOffset(view: DataView, at: number, make: (offset: number) => Frame): Frame | Malformed {
  const high = view.getUint32(at);
  if (high >= 2 ** 21) return malformed("link.offset");
  return make(high * 2 ** 32 + view.getUint32(at + 4));
}

export function encodeFrame(frame: Frame): Uint8Array {
  switch (frame.type) {
    case "open": {
      const [out, view] = blank(TYPE.OPEN, frame.stream, 6);
      view.setUint16(HEADER_LEN, frame.port);
      view.setUint32(HEADER_LEN + 2, frame.window);
      return out;
    }
    case "opened": {
      const [out, view] = blank(TYPE.OPENED, frame.stream, 4);
      view.setUint32(HEADER_LEN, frame.window);
      return out;
    }
    case "refused":
      return encodeText(TYPE.REFUSED, frame.stream, refusalCodes.number(frame.code), frame.text);
    case "window":
      return encodeOffset(TYPE.WINDOW, frame.stream, frame.offset);
    case "fin":
      return encodeOffset(TYPE.FIN, frame.stream, frame.offset);
    case "reset": {
      const [out, view] = blank(TYPE.RESET, frame.stream, 2);
      view.setUint16(HEADER_LEN, resetCodes.number(frame.reason));
      return out;
    }
    case "hello": {
      const [out, view] = blank(TYPE.HELLO, 0, HELLO_LEN);
      view.setUint16(HEADER_LEN, frame.minVersion);
      view.setUint16(HEADER_LEN + 2, frame.maxVersion);
      view.setUint32(HEADER_LEN + 4, frame.features);
      out.set(frame.instance, HEADER_LEN + 8);
      view.setUint32(HEADER_LEN + 16, frame.resumeMs);
      view.setUint16(HEADER_LEN + 20, frame.transports);
      return out;
    }
    case "ack":
      return encodeOffset(TYPE.ACK, 0, frame.received);
    case "ping":
      return encodeOffset(TYPE.PING, 0, frame.id);
    case "pong":
      return encodeOffset(TYPE.PONG, 0, frame.id);
    case "goaway":
      return encodeText(TYPE.GOAWAY, 0, goawayCodes.number(frame.code), frame.text);
    case "attach":
      return encodeAttach(frame);
    case "attached": {
      const [out, view] = blank(TYPE.ATTACHED, 0, ATTACHED_LEN);
      setOffset(view, HEADER_LEN, frame.received);
      out.set(frame.proof, HEADER_LEN + 8);
      return out;
    }
    case "link-gone":
      return blank(TYPE.LINK_GONE, 0, 0)[0];
  }
}

/** Writes the header of a DATA frame with `length` octets of payload at `at`. */
export function writeDataHeader(out: Uint8Array, at: number, stream: number, length: number): void {
  writeHeader(out, at, TYPE.DATA, stream, length);
}

function writeHeader(out: Uint8Array, at: number, type: number, stream: number, length: number): void {
  out[at] = length >> 8;
  out[at + 1] = length & 0xff;
  out[at + 2] = type;
  out[at + 3] = 0;
  out[at + 4] = stream >>> 24;
  out[at + 5] = (stream >>> 16) & 0xff;
  out[at + 6] = (stream >>> 8) & 0xff;
  out[at + 7] = stream & 0xff;
}

function blank(type: number, stream: number, payloadLen: number): [Uint8Array, DataView] {
  const out = new Uint8Array(HEADER_LEN + payloadLen);
  writeHeader(out, 0, type, stream, payloadLen);
  return [out, new DataView(out.buffer)];
}

function encodeOffset(type: number, stream: number, offset: number): Uint8Array {
  const [out, view] = blank(type, stream, 8);
  setOffset(view, HEADER_LEN, offset);
  return out;
}

function setOffset(view: DataView, at: number, offset: number): void {
  view.setUint32(at, Math.floor(offset / 2 ** 32));
  view.setUint32(at + 4, offset % 2 ** 32);
}

function encodeAttach(frame: Extract<Frame, { type: "attach" }>): Uint8Array {
  const [out, view] = blank(TYPE.ATTACH, 0, ATTACH_LEN);
  out.set(frame.link, HEADER_LEN);
  view.setUint16(HEADER_LEN + 16, frame.transport);
  view.setUint32(HEADER_LEN + 18, frame.generation);
  setOffset(view, HEADER_LEN + 22, frame.received);
  out.set(frame.proof, HEADER_LEN + 30);
  return out;
}

function encodeText(type: number, stream: number, code: number, text: string): Uint8Array {
  const octets = clipUtf8(text);
  const [out, view] = blank(type, stream, 2 + octets.length);
  view.setUint16(HEADER_LEN, code);
  out.set(octets, HEADER_LEN + 2);
  return out;
}

/** At most MAX_TEXT octets, never half a character. */
function clipUtf8(text: string): Uint8Array {
  const octets = encodeUtf8(text.slice(0, MAX_TEXT).toWellFormed());
  if (octets.length <= MAX_TEXT) return octets;
  let end = MAX_TEXT;
  while ((octets[end]! & 0xc0) === 0x80) end--;
  return octets.subarray(0, end);
}
