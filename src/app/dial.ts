import { connect, type Socket } from "node:net";
import { type Clock, messageOf } from "../base/mod.ts";
import type { RefusalCode } from "../link/mod.ts";
import { DIAL_ATTEMPT_MS } from "./limits.ts";

/** The app did not accept. */
export interface DialFailure {
  readonly refusal: RefusalCode;
  readonly message: string;
}

/** Connects to an app, or says why not: never rejects, never later than `timeoutMs`. */
export function dialApp(
  target: { host: string; port: number },
  o: { signal: AbortSignal; timeoutMs: number; clock: Clock },
): Promise<Socket | DialFailure> {
  const { promise, resolve } = Promise.withResolvers<Socket | DialFailure>();
  const where = `${target.host}:${target.port}`;
  const socket = connect({
    ...target,
    allowHalfOpen: true,
    noDelay: true,
    autoSelectFamilyAttemptTimeout: DIAL_ATTEMPT_MS,
  });
  const settle = (result: Socket | DialFailure) => {
    timer.cancel();
    o.signal.removeEventListener("abort", onAbort);
    // Until the socket has an owner an early reset must not be thrown; all else of the dial is forgotten.
    socket.on("error", ignore).off("error", onError);
    if (result !== socket) socket.destroy();
    resolve(result);
  };
  const onAbort = () => settle({ refusal: "timeout", message: `the client gave up waiting for ${where}` });
  const timer = o.clock.after(o.timeoutMs, () =>
    settle({ refusal: "timeout", message: `${where} did not answer within ${o.timeoutMs} ms` }),
  );
  o.signal.addEventListener("abort", onAbort, { once: true });
  const onError = (error: NodeJS.ErrnoException) => settle(failureOf(error, where));
  socket.on("error", onError);
  socket.once("connect", () => settle(socket));
  if (o.signal.aborted) onAbort();
  return promise;
}

function ignore(): void {}

function failureOf(error: NodeJS.ErrnoException, where: string): DialFailure {
  switch (error.code) {
    case "ECONNREFUSED":
      return { refusal: "connection-refused", message: `${where} refused the connection: is the app running?` };
    case "ETIMEDOUT":
      return { refusal: "timeout", message: `${where} did not answer` };
    case "EMFILE":
    case "ENFILE":
      return { refusal: "limit", message: "the agent has no file descriptors left" };
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EADDRNOTAVAIL":
      return { refusal: "unreachable", message: `${where} cannot be reached (${error.code})` };
    default:
      return { refusal: "unreachable", message: `connecting to ${where} failed: ${messageOf(error)}` };
  }
}
