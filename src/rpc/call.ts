import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import { errorEnvelopeSchema, fromErrorEnvelope, RemoteError, RPC } from "../api/mod.ts";
import { type OperationError, VERSION } from "../base/mod.ts";
import type { Method, RequestOf, ResponseOf } from "./contract.ts";
import { ConnectionLostError, ProtocolError } from "./errors.ts";
import { MAX_RESPONSE_LEN, VERSION_HEADER } from "./limits.ts";

/** One call on a connection that is there. */
export async function callOn<M extends Method>(
  session: ClientHttp2Session,
  method: M,
  request: RequestOf<M>,
  signal: AbortSignal,
): Promise<ResponseOf<M>> {
  return answerOf(method, openRequest(session, method, request), signal);
}

/**
 * Sends the request. Throws where the session has ended; nothing was sent then.
 * `version`: of this program; another one in tests only.
 */
export function openRequest(
  session: ClientHttp2Session,
  method: string,
  request: unknown,
  version: string = VERSION,
): ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": `/v1/${method}`,
    "content-type": "application/json",
    [VERSION_HEADER]: version,
  });
  stream.on("error", () => {}); // Told by `close` and the reset code instead.
  stream.end(JSON.stringify(request));
  return stream;
}

export async function answerOf<M extends Method>(
  method: M,
  stream: ClientHttp2Stream,
  signal: AbortSignal,
): Promise<ResponseOf<M>> {
  const { status, text } = await readAnswer(stream, signal);
  const body = parseJson(text);
  if (status !== 200) throw failureOf(body);
  return checked(method, body);
}

/** The error that a failure's body stands for. */
export function failureOf(body: unknown): OperationError {
  const parsed = errorEnvelopeSchema.safeParse(body);
  if (parsed.success) return fromErrorEnvelope(parsed.data);
  return new RemoteError("the Auth Service refused without a reason", "unknown", false);
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ProtocolError("the Auth Service's answer is not JSON");
  }
}

/** Resources pass as they are: Auth checked them when they were written, and a newer one may say more. */
function checked<M extends Method>(method: M, body: unknown): ResponseOf<M> {
  if (method.startsWith("resource.")) return body as ResponseOf<M>;
  const parsed = RPC[method].response.safeParse(body);
  if (parsed.success) return parsed.data as ResponseOf<M>;
  throw new ProtocolError(`the Auth Service's answer to ${method} is not understood: ${parsed.error.message}`);
}

/** The whole answer. Aborting cancels the request at the server too. */
function readAnswer(stream: ClientHttp2Stream, signal: AbortSignal): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    let status = 0;
    let ended = false;
    const give = (error: unknown) => {
      signal.removeEventListener("abort", onAbort);
      reject(error);
      stream.close(constants.NGHTTP2_CANCEL);
    };
    const onAbort = () => give(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    stream.once("response", (headers) => {
      status = headers[":status"] ?? 0;
    });
    stream.on("data", (part: Buffer) => {
      length += part.length;
      parts.push(part);
      if (length > MAX_RESPONSE_LEN) give(new ProtocolError(`the answer is larger than ${MAX_RESPONSE_LEN} octets`));
    });
    stream.once("end", () => {
      ended = true;
    });
    stream.once("close", () => {
      signal.removeEventListener("abort", onAbort);
      if (ended && status !== 0) resolve({ status, text: Buffer.concat(parts).toString() });
      else reject(brokenOff(stream));
    });
  });
}

function brokenOff(stream: ClientHttp2Stream): Error {
  const busy = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
  const reason = busy ? "too many requests are under way" : "the connection broke off";
  return new ConnectionLostError(`no answer from the Auth Service: ${reason}`);
}
