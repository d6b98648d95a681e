import { OperationError } from "../base/mod.ts";

/** What is stored under this key was written by a later version, or damaged. */
export class StoredStateError extends OperationError {
  readonly code = "auth.stored-state";
  constructor(key: string) {
    super(`the stored ${key} is damaged or of a later version: start the version that wrote it, or restore a backup`);
  }
}

/** The Auth Service cannot listen. */
export class ListenError extends OperationError {
  readonly code = "auth.listen";
  constructor(address: string, cause: unknown) {
    super(
      `cannot listen on ${address} (${String((cause as NodeJS.ErrnoException).code ?? cause)}): set auth_service.listen_addr`,
      { cause },
    );
  }
}
