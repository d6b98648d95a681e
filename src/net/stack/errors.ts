import { OperationError } from "../../base/mod.ts";

/** The peer answered our SYN with RST. */
export class ConnectionRefusedError extends OperationError {
  readonly code = "net.refused";

  constructor(remote: string) {
    super(`${remote} refused the connection: nothing listens on that port`);
  }
}

/** The peer did not answer our SYN. */
export class ConnectTimeoutError extends OperationError {
  readonly code = "net.timeout";
  override readonly retryable = true;

  constructor(remote: string) {
    super(`${remote} did not answer`);
  }
}

/** The pair of endpoints has a connection already, or none may be added. */
export class AddressInUseError extends OperationError {
  readonly code = "net.address-in-use";

  constructor(local: string, remote: string) {
    super(`${local} is already connected to ${remote}: use another local port`);
  }
}

/** A connection has two ends, and each is one host (RFC 9293 §3.9.1.1). */
export class NotUnicastError extends OperationError {
  readonly code = "net.not-unicast";

  constructor(remote: string) {
    super(`${remote} is not the address of one host`);
  }
}

/** The stack was closed. */
export class StackClosedError extends OperationError {
  readonly code = "net.stack-closed";

  constructor() {
    super("the network stack was closed");
  }
}
