import { OperationError } from "../base/mod.ts";

export class KeyExistsError extends OperationError {
  readonly code = "storage.key-exists";
  readonly key: string;
  constructor(key: string) {
    super(`${key} already exists`);
    this.key = key;
  }
}

export class KeyNotFoundError extends OperationError {
  readonly code = "storage.key-not-found";
  readonly key: string;
  constructor(key: string) {
    super(`${key} is not found`);
    this.key = key;
  }
}

/** The item was written by someone else since it was read. */
export class StaleRevisionError extends OperationError {
  readonly code = "storage.stale-revision";
  readonly key: string;
  constructor(key: string) {
    super(`${key} has been changed since it was read`);
    this.key = key;
  }
}

/** The watcher fell behind and lost changes: read everything again, then watch anew. */
export class WatchLaggedError extends OperationError {
  readonly code = "storage.watch-lagged";
  override readonly retryable = true;
  constructor(limit: number) {
    super(`more than ${limit} changes were waiting to be read`);
  }
}

export class StorageClosedError extends OperationError {
  readonly code = "storage.closed";
  constructor() {
    super("the storage is closed");
  }
}

/** Another process has the database open. */
export class StorageInUseError extends OperationError {
  readonly code = "storage.in-use";
  constructor(path: string, options?: { cause?: unknown }) {
    super(`${path} is in use by another process; stop the other teleport that uses this data_dir`, options);
  }
}

/** The database was written in a format that this version does not know. */
export class StorageFormatError extends OperationError {
  readonly code = "storage.format";
  constructor(path: string, found: unknown, known: number) {
    super(`${path} has format ${String(found)}, this version knows ${known}; use the version that wrote it`);
  }
}

/** The disk or the database failed; nothing of the write remains. */
export class StorageFailedError extends OperationError {
  readonly code = "storage.failed";
  override readonly retryable = true;
}
