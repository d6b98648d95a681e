import { OperationError } from "../base/mod.ts";

/** An app's connection was not ready in time. The client is refused. */
export class DialTimeoutError extends OperationError {
  readonly code = "vnet.dial-timeout";
  override readonly retryable = true;

  constructor(timeoutMs: number) {
    super(`the app did not answer within ${timeoutMs / 1000} s`);
  }
}

/** Nothing of an address range is free on this host; `message` says who has it. */
export class RangeTakenError extends OperationError {
  override readonly code = "vnet.range-taken";
}
