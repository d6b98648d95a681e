import { OperationError } from "../base/mod.ts";

export class NotLoggedInError extends OperationError {
  readonly code = "client.not-logged-in";
}

export class LoginExpiredError extends OperationError {
  readonly code = "client.login-expired";
}

export class ProxyUnreachableError extends OperationError {
  readonly code = "client.proxy-unreachable";
  override readonly retryable = true;
}

export class ProxyUntrustedError extends OperationError {
  readonly code = "client.proxy-untrusted";
}

export class NotAProxyError extends OperationError {
  readonly code = "client.not-a-proxy";
}

export class ProfileDamagedError extends OperationError {
  readonly code = "client.profile-damaged";
}

/** The directory of saved logins, or a file in it, cannot be read or written. */
export class ProfileFilesError extends OperationError {
  readonly code = "client.profile-files";
}

export class AppNotFoundError extends OperationError {
  readonly code = "client.app-not-found";
}

export class TrustChangedError extends OperationError {
  readonly code = "client.trust-changed";
}

/** The identity file is missing, is none, or is not for this use. */
export class IdentityUnusableError extends OperationError {
  readonly code = "client.identity-file";
}

/** A second factor is asked for, and nobody is there who could give it. */
export class SecondFactorUnansweredError extends OperationError {
  readonly code = "client.second-factor";
}
