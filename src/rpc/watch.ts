import type { ClientHttp2Stream } from "node:http2";
import { failureOf, parseJson } from "./call.ts";
import { ConnectionLostError, ProtocolError } from "./errors.ts";
import { MAX_LINE_LEN, SILENCE_MS } from "./limits.ts";

/** One line: an event, or an error envelope. Resources in it are not checked again. */
export type WatchLine = { readonly type: string } | { readonly error: unknown };

/**
 * The JSON lines of a watch. Back-pressure is the consumer's pace: what is not
 * pulled stays in HTTP/2's window and then at the server. Three missed
 * heartbeats end it.
 */
export async function* watchLines(stream: ClientHttp2Stream, signal: AbortSignal): AsyncGenerator<WatchLine> {
  const silence = silenceTimer(stream);
  const onAbort = () => stream.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  let status = 0;
  stream.once("response", (headers) => {
    status = headers[":status"] ?? 0;
  });
  stream.setEncoding("utf8");
  try {
    let rest = "";
    for await (const part of stream as AsyncIterable<string>) {
      silence.pause(); // The consumer's own time is not the server's silence.
      const lines = (rest + part).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > MAX_LINE_LEN) throw new ProtocolError("a line of the watch is too long");
      for (const line of lines) yield parseLine(line);
      silence.resume();
    }
    if (rest !== "" && status !== 200) throw failureOf(parseJson(rest));
    throw new ConnectionLostError("the Auth Service ended the watch");
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (silence.expired)
      throw new ConnectionLostError(`no sign of life from the Auth Service for ${SILENCE_MS / 1000} s`);
    throw isNodeError(error)
      ? new ConnectionLostError(`the watch broke off: ${error.message}`, { cause: error })
      : error;
  } finally {
    silence.stop();
    signal.removeEventListener("abort", onAbort);
  }
}

function parseLine(line: string): WatchLine {
  const value = parseJson(line);
  if (typeof value === "object" && value !== null && ("type" in value || "error" in value)) return value as WatchLine;
  throw new ProtocolError("a line of the watch is not an event");
}

function silenceTimer(stream: ClientHttp2Stream) {
  const state = { expired: false, pause, resume, stop: pause };
  let timer: NodeJS.Timeout | undefined;
  function pause(): void {
    clearTimeout(timer);
  }
  function resume(): void {
    timer = setTimeout(() => {
      state.expired = true;
      stream.destroy();
    }, SILENCE_MS);
    timer.unref();
  }
  resume();
  return state;
}

/** A stream's or a system call's own error, as against those thrown above. */
function isNodeError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error && /^(ERR_|E[A-Z]+$|ABORT_ERR$)/.test(String(error.code));
}
