import { OperationError } from "../base/mod.ts";

/** The HTTP proxy that HTTPS_PROXY names does not lead to a cluster's proxy. */
export class ConnectProxyError extends OperationError {
  readonly code = "dial.connect-proxy";
  override readonly retryable = true;
}

/** HTTPS_PROXY or NO_PROXY is not what they can be. */
export class ConnectProxySettingError extends OperationError {
  readonly code = "dial.connect-proxy-setting";
}
