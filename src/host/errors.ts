import { OperationError } from "../base/mod.ts";

/** A system program that is needed and not installed. */
export class ProgramMissingError extends OperationError {
  override readonly code = "host.program-missing";
  readonly program: string;

  constructor(program: string, packageName: string) {
    super(`${program} is not installed; it is in the package ${packageName} ("apt install ${packageName}")`);
    this.program = program;
  }
}

/** The command's own network could not be made; `message` names the setting to change. */
export class NamespaceError extends OperationError {
  override readonly code = "host.namespace";
}

/** The root launcher refused, failed, or is gone. */
export class LauncherError extends OperationError {
  override readonly code = "host.launcher";
}
