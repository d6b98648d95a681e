import { OperationError } from "../base/mod.ts";

/** No upstream server answered a forwarded query. The client gets SERVFAIL. */
export class UpstreamError extends OperationError {
  readonly code = "dns.upstream";
  override readonly retryable = true;
}
