import { OperationError } from "../base/mod.ts";
import { LinkClosedError, LinkRefusedError } from "../link/mod.ts";

/** The part of the way to an app where a dial came to its end. */
export type WayPart = "login" | "role" | "port" | "agent" | "target";

/** Where on its way a connection to an app failed: at the login, at what its roles allow, before, at or behind the agent. */
export function failedAt(error: unknown): WayPart {
  if (error instanceof LinkRefusedError) {
    switch (error.refusal) {
      case "access-denied":
        return "role";
      case "port":
        return "port";
      case "connection-refused":
      case "unreachable":
      case "timeout":
        return "target";
      default:
        return "agent";
    }
  }
  if (error instanceof LinkClosedError && error.closeCode === "access-denied") return "role";
  switch (error instanceof OperationError ? (error as OperationError & { code: string }).code : undefined) {
    case "api.access-denied":
      return "role";
    case "api.unauthenticated":
    case "client.login-expired":
    case "client.not-logged-in":
    case "client.app-not-found":
      return "login";
    default:
      return "agent";
  }
}
