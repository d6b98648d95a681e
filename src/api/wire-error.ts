import { messageOf, OperationError } from "../base/mod.ts";
import {
  AccessDeniedError,
  AlreadyExistsError,
  BadInputError,
  LimitExceededError,
  MfaRequiredError,
  NotFoundError,
  RemoteError,
  RevisionMismatchError,
  UnauthenticatedError,
  UnavailableError,
  VersionMismatchError,
} from "./errors.ts";
import { MAX_MESSAGE_LEN } from "./limits.ts";
import type { ErrorEnvelope } from "./rpc.ts";

/** Errors that mean the same on both ends, with their HTTP status (RFC 9110 §15.5). */
const ON_THE_WIRE: Readonly<Record<string, { status: number; make: (message: string) => OperationError }>> = {
  "api.bad-input": { status: 400, make: (message) => new BadInputError(message) },
  "api.unauthenticated": { status: 401, make: (message) => new UnauthenticatedError(message) },
  "api.access-denied": { status: 403, make: (message) => new AccessDeniedError(message) },
  "api.mfa-required": { status: 403, make: (message) => new MfaRequiredError(message) },
  "api.not-found": { status: 404, make: (message) => new NotFoundError(message) },
  "api.already-exists": { status: 409, make: (message) => new AlreadyExistsError(message) },
  "api.revision-mismatch": { status: 412, make: (message) => new RevisionMismatchError(message) },
  "api.version-mismatch": { status: 426, make: (message) => new VersionMismatchError(message) },
  "api.limit-exceeded": { status: 429, make: (message) => new LimitExceededError(message) },
  "api.unavailable": { status: 503, make: (message) => new UnavailableError(message) },
};

/** What a server answers for a thrown value. Only our own errors explain themselves; a bug is "internal error". */
export function toErrorEnvelope(error: unknown): { status: number; envelope: ErrorEnvelope } {
  if (!(error instanceof OperationError)) {
    return { status: 500, envelope: { error: { code: "api.internal", message: "internal error", retryable: false } } };
  }
  const { code, retryable } = error;
  return {
    status: ON_THE_WIRE[code]?.status ?? 500,
    envelope: { error: { code, message: clipped(messageOf(error)), retryable } },
  };
}

/** Names and values that an error repeats may be as long as a request. */
function clipped(message: string): string {
  return message.length > MAX_MESSAGE_LEN ? `${message.slice(0, MAX_MESSAGE_LEN)}…` : message;
}

/** The error that the server meant. */
export function fromErrorEnvelope({ error }: ErrorEnvelope): OperationError {
  const known = Object.hasOwn(ON_THE_WIRE, error.code) ? ON_THE_WIRE[error.code] : undefined;
  return known?.make(error.message) ?? new RemoteError(error.message, error.code, error.retryable);
}
