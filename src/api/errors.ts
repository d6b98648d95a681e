import { OperationError } from "../base/mod.ts";

/** One thing wrong with a document. `line` and `col` begin at 1; absent where there was no text. */
export interface Problem {
  readonly file?: string;
  readonly line?: number;
  readonly col?: number;
  /** `spec.custom_dns_zones[0].suffix`; empty for the document as a whole. */
  readonly path: string;
  readonly message: string;
}

/** Input that breaks a rule: a file, a flag, a request. Names every place. */
export class BadInputError extends OperationError {
  readonly code = "api.bad-input";
  readonly problems: readonly Problem[];

  constructor(message: string, problems: readonly Problem[] = [], options?: { cause?: unknown }) {
    super(message, options);
    this.problems = problems;
  }

  static of(problems: readonly Problem[]): BadInputError {
    return new BadInputError(problems.map(formatProblem).join("\n"), problems);
  }
}

/** `vnet-config.yaml:6:14: spec.custom_dns_zones[0].suffix: expected string` */
export function formatProblem(problem: Problem): string {
  const place = problem.file === undefined ? [] : [problem.file, problem.line, problem.col];
  const parts = [place.filter((part) => part !== undefined).join(":"), problem.path, problem.message];
  return parts.filter((part) => part !== "").join(": ");
}

export class NotFoundError extends OperationError {
  readonly code = "api.not-found";
}

export class AlreadyExistsError extends OperationError {
  readonly code = "api.already-exists";
}

/** Somebody else changed the resource since it was read. */
export class RevisionMismatchError extends OperationError {
  readonly code = "api.revision-mismatch";
}

/** The caller is known and may not do this. */
export class AccessDeniedError extends OperationError {
  readonly code = "api.access-denied";
}

/** The caller is not who it claims, or claims nothing: wrong password, token, or no certificate. */
export class UnauthenticatedError extends OperationError {
  readonly code = "api.unauthenticated";
}

/** A program of another version, too far from the cluster's. */
export class VersionMismatchError extends OperationError {
  readonly code = "api.version-mismatch";
}

/** The call needs a second factor that it does not carry: ask for a challenge (`mfa.challenge`). */
export class MfaRequiredError extends OperationError {
  readonly code = "api.mfa-required";
}

export class LimitExceededError extends OperationError {
  readonly code = "api.limit-exceeded";
  override readonly retryable = true;
}

/** The other side is away or cannot answer now; the same call may succeed later. */
export class UnavailableError extends OperationError {
  readonly code = "api.unavailable";
  override readonly retryable = true;
}

/** The other side failed in a way that it does not explain, or speaks a newer language. */
export class RemoteError extends OperationError {
  readonly code = "api.remote";
  readonly remoteCode: string;
  override readonly retryable: boolean;

  constructor(message: string, remoteCode: string, retryable: boolean) {
    super(message);
    this.remoteCode = remoteCode;
    this.retryable = retryable;
  }
}
