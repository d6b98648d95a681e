import { OperationError } from "../base/mod.ts";

/** An event is not on the disk: the change that it records must not be acknowledged. */
export class AuditFailedError extends OperationError {
  readonly code = "audit.failed";
  override readonly retryable = true;
}
