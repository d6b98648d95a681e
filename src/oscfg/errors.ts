import { OperationError } from "../base/mod.ts";

/** A wanted state that root does not carry out; `message` says which rule it breaks. */
export class StateRefusedError extends OperationError {
  override readonly code = "oscfg.refused";
}

/** A system program failed at what it was told to do. */
export class OsCommandError extends OperationError {
  override readonly code = "oscfg.command";
  readonly command: string;

  constructor(command: string, output: string) {
    super(`"${command}" failed: ${output.trim() || "no reason given"}`);
    this.command = command;
  }
}

/** `/etc/resolv.conf` cannot be changed; `message` says what to do by hand. */
export class ResolvConfError extends OperationError {
  override readonly code = "oscfg.resolv-conf";
}

/** What the bus says of calls that will never do. All else it says of services that are not there, perhaps not yet. */
const FINAL = ["AccessDenied", "InteractiveAuthorizationRequired", "InvalidArgs", "NotSupported", "UnknownMethod"];
const BUS_ERROR = "org.freedesktop.DBus.Error.";

/** A D-Bus call failed; `errorName` is the service's, absent where nobody answered. */
export class DBusError extends OperationError {
  override readonly code = "oscfg.dbus";
  override readonly retryable: boolean;
  readonly errorName: string | undefined;

  constructor(message: string, errorName?: string) {
    super(message);
    this.errorName = errorName;
    this.retryable =
      errorName === undefined ||
      (errorName.startsWith(BUS_ERROR) && !FINAL.includes(errorName.slice(BUS_ERROR.length)));
  }
}
