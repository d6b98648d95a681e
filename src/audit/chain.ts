import { createHash } from "node:crypto";

/** The last record of a chain, or where one begins. */
export interface Head {
  /** Of the first record: 1. */
  readonly seq: number;
  /** SHA-256, hexadecimal, over everything up to and with this record. */
  readonly hash: string;
}

export const GENESIS: Head = { seq: 0, hash: "0".repeat(64) };

/** What Auth vouches for: the log up to here, at this time. */
export interface Checkpoint extends Head {
  readonly time: string;
}

/** Whoever holds the signing key, and remembers the head where the log's files cannot be reached from. */
export interface Notary {
  sign(text: string): string;
  verify(text: string, signature: string): boolean;
  savedHead(): Promise<Head | undefined>;
  saveHead(head: Head): Promise<void>;
}

/** A line of the log as the chain sees it. */
export type ChainLine =
  | { readonly kind: "record"; readonly head: Head; readonly event: string }
  | { readonly kind: "checkpoint"; readonly checkpoint: Checkpoint; readonly signature: string }
  | { readonly kind: "other" };

// The chain's field stands last, so that the event is what precedes it, octet for octet.
const SUFFIX = /,"chain":"(\d{1,15}):([0-9a-f]{64})"\}$/;

/** The event's JSON as a line without its end, and the head that it makes. */
export function chained(event: string, before: Head): { line: string; head: Head } {
  const seq = before.seq + 1;
  const head = { seq, hash: hashOf(event, { ...before, seq }) };
  return { line: `${event.slice(0, -1)},"chain":"${seq}:${head.hash}"}`, head };
}

/** `prev.seq` is the record's own number. */
export function hashOf(event: string, prev: Head): string {
  return createHash("sha256").update(`${prev.hash}\n${prev.seq}\n${event}`).digest("hex");
}

export function checkpointLine(checkpoint: Checkpoint, notary: Notary): string {
  return JSON.stringify({ checkpoint, signature: notary.sign(signedText(checkpoint)) });
}

export function isGenuine(checkpoint: Checkpoint, signature: string, notary: Pick<Notary, "verify">): boolean {
  return notary.verify(signedText(checkpoint), signature);
}

/** Versioned, so that no signature means two things. */
function signedText({ seq, hash, time }: Checkpoint): string {
  return `audit-checkpoint/1\n${seq}\n${hash}\n${time}`;
}

export function readLine(line: string): ChainLine {
  const match = SUFFIX.exec(line);
  if (match !== null) {
    return {
      kind: "record",
      head: { seq: Number(match[1]), hash: match[2]! },
      event: `${line.slice(0, match.index)}}`,
    };
  }
  return line.startsWith('{"checkpoint":') ? (readCheckpoint(line) ?? { kind: "other" }) : { kind: "other" };
}

function readCheckpoint(line: string): ChainLine | undefined {
  try {
    const { checkpoint, signature } = JSON.parse(line) as { checkpoint: Partial<Checkpoint>; signature: unknown };
    const { seq, hash, time } = checkpoint;
    if (!Number.isSafeInteger(seq) || typeof hash !== "string" || typeof time !== "string") return undefined;
    if (typeof signature !== "string") return undefined;
    return { kind: "checkpoint", checkpoint: { seq: seq!, hash, time }, signature };
  } catch {
    return undefined;
  }
}
