import { messageOf, OperationError } from "../base/mod.ts";

/** No TCP connection or no TLS with a proxy. */
export class ProxyUnreachableError extends OperationError {
  readonly code = "tunnel.proxy-unreachable";
  override readonly retryable = true;

  constructor(proxy: string, cause: unknown) {
    super(`cannot reach the proxy ${proxy}: ${messageOf(cause)}`, { cause });
  }
}

/** The proxy has no agent of the app, or none that answers. */
export class NoAgentError extends OperationError {
  readonly code = "tunnel.no-agent";
  override readonly retryable = true;

  constructor(proxy: string) {
    super(`no agent of the app is connected to the proxy ${proxy}; check that the Application Service is running`);
  }
}

/** The proxy did not accept the route token, with any counter. */
export class SessionUnknownError extends OperationError {
  readonly code = "tunnel.session-unknown";
  override readonly retryable = true;

  constructor(proxy: string) {
    super(`the proxy ${proxy} does not know this app session; it may have ended: log in to the app again`);
  }
}

/** The certificate of the host that answered is not one of the session's agents. Nothing was told to it. */
export class UntrustedAgentError extends OperationError {
  readonly code = "tunnel.untrusted-agent";

  constructor(proxy: string, cause: unknown) {
    super(`the agent that answered through ${proxy} is not one of the app's: ${messageOf(cause)}`, { cause });
  }
}
