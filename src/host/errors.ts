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

/** What `tsh vnet exec` is to run is not there, or is no program. */
export class CommandNotFoundError extends OperationError {
  override readonly code = "host.command-not-found";
  /** As a shell reports it. */
  readonly exitCode: 126 | 127;

  /** `found`: a file of this name that may not be executed. */
  constructor(command: string, found: string | undefined) {
    const where = command.includes("/") ? "the file does not exist" : "no directory of PATH has it";
    super(
      found === undefined
        ? `the command ${command} is not there: ${where}`
        : `the command ${command} cannot be run: ${found} is not executable for you ("chmod +x" makes it so)`,
    );
    this.exitCode = found === undefined ? 127 : 126;
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
