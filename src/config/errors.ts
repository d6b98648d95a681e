import { fileFault, OperationError } from "../base/mod.ts";

/** A file that the command line or the configuration names cannot be read. What is wrong inside one is `api.bad-input`. */
export class ConfigFileError extends OperationError {
  readonly code = "config.unreadable";
  readonly path: string;

  constructor(message: string, path: string, options?: { cause?: unknown }) {
    super(message, options);
    this.path = path;
  }

  static of(what: string, path: string, cause: unknown): ConfigFileError {
    return new ConfigFileError(`cannot read ${what} ${path}: ${fileFault(cause)}`, path, { cause });
  }
}
