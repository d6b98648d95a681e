import { decodeUtf8, encodeUtf8 } from "../../base/mod.ts";
import { HTML_HEADERS, SECURITY_HEADERS } from "./headers.ts";

/** One web request, read completely. */
export interface WebRequest {
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
  /** The Host header; "" where it is missing. */
  readonly host: string;
  readonly contentType: string;
  /** Where it came from, `address:port`. */
  readonly client: string;
  readonly body: Uint8Array;
}

export interface WebResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** A refusal with its HTTP status, in words for whoever sent the request. */
export class WebProblem extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    message: string,
    options: { cause?: unknown; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message, options);
    this.status = status;
    this.headers = options.headers ?? {};
  }
}

const MAX_TOKEN_LEN = 128; // characters; ours have 32 or 64

export function checkToken(token: string): string {
  if (token.length > MAX_TOKEN_LEN || !/^[\w.~-]+$/.test(token)) throw new WebProblem(404, "this link does not exist");
  return token;
}

export function allow(request: WebRequest, ...methods: string[]): void {
  const method = request.method === "HEAD" ? "GET" : request.method;
  if (methods.includes(method)) return;
  // RFC 9110 §15.5.6 wants the header.
  throw new WebProblem(405, `only ${methods.join(" and ")} here`, { headers: { Allow: methods.join(", ") } });
}

export function formOf(request: WebRequest): URLSearchParams {
  const [type] = request.contentType.split(";");
  if (type?.trim().toLowerCase() !== "application/x-www-form-urlencoded") {
    throw new WebProblem(415, "send this form as application/x-www-form-urlencoded");
  }
  return new URLSearchParams(decodeUtf8(request.body) ?? "");
}

/** An object of JSON; `where` is for the refusal. */
export function jsonObject(text: string | undefined, where: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? "");
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Told below, like everything that is no object.
  }
  throw new WebProblem(400, `${where} is not a JSON object`);
}

export function page(status: number, markup: string): WebResponse {
  return response(status, HTML_HEADERS, markup);
}

export function json(status: number, value: object): WebResponse {
  return response(status, { "Content-Type": "application/json", "Cache-Control": "no-store" }, JSON.stringify(value));
}

export function jsonError(status: number, message: string): WebResponse {
  return json(status, { error: { message } });
}

export function response(status: number, headers: Record<string, string>, body: string): WebResponse {
  return { status, headers: { ...SECURITY_HEADERS, ...headers }, body: encodeUtf8(body) };
}
