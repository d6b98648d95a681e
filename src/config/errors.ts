import { OperationError } from "../base/mod.ts";

/** A file that the command line or the configuration names cannot be read. What is wrong inside one is `api.bad-input`. */
export class ConfigFileError extends OperationError {
  readonly code = "config.unreadable";
  readonly path: string;

  constructor(message: string, path: string, options?: { cause?: unknown }) {
    super(message, options);
    this.path = path;
  }

  static of(what: string, path: string, cause: unknown): ConfigFileError {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const reason = REASONS[code] ?? (cause instanceof Error ? cause.message : String(cause));
    return new ConfigFileError(`cannot read ${what} ${path}: ${reason}`, path, { cause });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied; run as the file's owner or with sudo",
  EISDIR: "it is a directory",
};
