import { OperationError } from "../base/mod.ts";

/** The server is not the one that the pin or the known authorities name. Never retried by itself. */
export class UntrustedServerError extends OperationError {
  readonly code = "rpc.untrusted-server";
}

/** No answer in time; the request may or may not have been carried out. */
export class CallTimeoutError extends OperationError {
  readonly code = "rpc.timeout";
  override readonly retryable = true;
}

/** The connection could not be made or broke; the request may or may not have been carried out. */
export class ConnectionLostError extends OperationError {
  readonly code = "rpc.connection-lost";
  override readonly retryable = true;
}

/** A watcher did not read fast enough and was cut off: list again. */
export class WatchOverflowError extends OperationError {
  readonly code = "rpc.watch-overflow";
  override readonly retryable = true;
}

/** The other side speaks another language: a newer version, or a bug. */
export class ProtocolError extends OperationError {
  readonly code = "rpc.protocol";
}

/** A host's stored identity or uuid cannot be used. */
export class IdentityFileError extends OperationError {
  readonly code = "rpc.identity-file";
  readonly file: string;

  constructor(file: string, problem: string, options?: { cause?: unknown }) {
    super(`cannot use ${file}: ${problem}`, options);
    this.file = file;
  }
}
