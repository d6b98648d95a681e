/**
 * Operational failures: what can go wrong in a correct program.
 *
 * Each folder's `errors.ts` subclasses this with a literal `code` that
 * `docs/errors.md` explains. `message` tells the user what failed and what to
 * try; `retryable` tells a caller whether the same call may succeed later.
 */
export abstract class OperationError extends Error {
  abstract readonly code: string;
  readonly retryable: boolean = false;

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Hostile or damaged bytes: a value to count and drop, never an exception. */
export interface Malformed {
  /** Dotted, stable: `"tcp.truncated"`. Used as the counter's name. */
  readonly malformed: string;
}

export function malformed(reason: string): Malformed {
  return { malformed: reason };
}

export function isMalformed<T extends object>(value: T | Malformed): value is Malformed {
  return (value as Partial<Malformed>).malformed !== undefined; // `in` takes longer, and every packet asks five times
}

const FILE_FAULTS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied; run as the file's owner or with sudo",
  EPERM: "permission denied; run as the file's owner or with sudo",
  EISDIR: "it is a directory",
  ENOTDIR: "a part of its path is a file",
  EEXIST: "something else is there already",
  ENOSPC: "the disk is full",
  EROFS: "the file system is read-only",
};

/** Why a file or directory could not be read or written, for a user; the system's own words where we have none. */
export function fileFault(cause: unknown, doing: "read" | "write" = "read"): string {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (doing === "write" && code === "ENOENT") return "its directory does not exist";
  return FILE_FAULTS[code] ?? messageOf(cause);
}

/** The text of whatever was thrown, for a log line or a user. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
