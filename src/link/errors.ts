import { OperationError, type ResetReason } from "../base/mod.ts";
import type { CloseCode, RefusalCode } from "./codes.ts";

/** The agent answered OPEN with REFUSED. */
export class LinkRefusedError extends OperationError {
  readonly code = "link.refused";
  readonly refusal: RefusalCode;
  override readonly retryable: boolean;

  constructor(refusal: RefusalCode, message: string) {
    super(message || `the app's agent refused the connection (${refusal})`);
    this.refusal = refusal;
    this.retryable = refusal === "limit" || refusal === "draining";
  }
}

/** The link ended, or was never established. */
export class LinkClosedError extends OperationError {
  readonly code = "link.closed";
  readonly closeCode: CloseCode;
  /** What its streams were reset with. */
  readonly reason: ResetReason;
  override readonly retryable: boolean;

  constructor(closeCode: CloseCode, reason: ResetReason, message: string, options?: { cause?: unknown }) {
    super(message || `the link to the app's agent ended (${closeCode})`, options);
    this.closeCode = closeCode;
    this.reason = reason;
    this.retryable = ["carrier", "dead", "gone", "shutdown"].includes(closeCode);
  }
}

/** The peer ends its work: use another link. */
export class LinkDrainingError extends OperationError {
  readonly code = "link.draining";
  override readonly retryable = true;

  constructor() {
    super("the app's agent is shutting down and takes no new connections; the next attempt goes to another one");
  }
}

/** No answer to OPEN in time. */
export class LinkOpenTimeoutError extends OperationError {
  readonly code = "link.open-timeout";
  override readonly retryable = true;

  constructor(timeoutMs: number) {
    super(`the app's agent did not answer within ${timeoutMs} ms`);
  }
}

/** Too many streams or unanswered OPENs on this link. */
export class LinkLimitError extends OperationError {
  readonly code = "link.limit";
  override readonly retryable = true;

  constructor(what: string, limit: number) {
    super(`this app session has reached its limit of ${limit} ${what}`);
  }
}

/** All links of this process together hold as much as they may. */
export class LinkBudgetError extends OperationError {
  readonly code = "link.budget";
  override readonly retryable = true;

  constructor(what: string) {
    super(`this process has ${what} for app connections already; close some of them and try again`);
  }
}

/** A carrier could not be put under the link; another one may. */
export class LinkAttachError extends OperationError {
  readonly code = "link.attach";
  override readonly retryable = true;

  constructor(message: string) {
    super(`the link could not go on over a new connection: ${message}`);
  }
}
