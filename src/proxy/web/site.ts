import { isIP } from "node:net";
import { decodeUtf8, encodeUtf8, isMalformed, type Malformed, malformed } from "../../base/mod.ts";
import { type AuthPreference, findResponse, type PublicFacts, pingResponse } from "./find.ts";
import { HTML_HEADERS, SECURITY_HEADERS } from "./headers.ts";
import { appPage, errorPage, homePage, inviteDonePage, invitePage } from "./pages.ts";

/** One web request, read completely. */
export interface WebRequest {
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
  /** The Host header; "" where it is missing. */
  readonly host: string;
  readonly contentType: string;
  readonly body: Uint8Array;
}

export interface WebResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** What the pages need of the cluster. Each call may throw a `WebProblem`. */
export interface WebBackend {
  facts(): PublicFacts;
  preference(): AuthPreference;
  trust(): Promise<object>;
  readInvite(token: string): Promise<{ user: string; expires: string }>;
  acceptInvite(token: string, password: string): Promise<{ user: string }>;
  appAt(host: string): { name: string; protocol: "tcp" | "http" } | undefined;
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

const MAX_TOKEN_LEN = 128; // characters; ours have 32

/** Answers one request, whatever it is; rejects only where the proxy itself has failed. */
export async function respond(request: WebRequest, backend: WebBackend): Promise<WebResponse> {
  const path = pathOf(request.target);
  if (isMalformed(path)) return jsonError(400, "the request's path cannot be read");
  const host = hostName(request.host);
  if (!isProxyHost(host, backend.facts())) {
    const app = backend.appAt(host);
    if (app !== undefined) return page(501, appPage(host, app));
    // Programs may know the proxy by a name that it does not; people are told.
    if (!path.text.startsWith("/webapi/")) return page(404, appPage(host, undefined));
  }
  const invite = /^\/web\/invite\/([^/]+)$/.exec(path.text)?.[1];
  try {
    return invite === undefined
      ? await other(path.text, request, backend)
      : await inviteRoute(invite, request, backend);
  } catch (error) {
    if (!(error instanceof WebProblem)) throw error;
    const isPage = path.text.startsWith("/web") && !path.text.startsWith("/webapi/");
    const answer = isPage
      ? page(error.status, errorPage("That did not work", error.message))
      : jsonError(error.status, error.message);
    return { ...answer, headers: { ...answer.headers, ...error.headers } };
  }
}

async function other(path: string, request: WebRequest, backend: WebBackend): Promise<WebResponse> {
  switch (path) {
    case "/":
      allow(request, "GET");
      return response(302, { Location: "/web" }, "");
    case "/web":
    case "/web/login": {
      allow(request, "GET");
      const { clusterName, publicAddr } = backend.facts();
      return page(200, homePage(clusterName, publicAddr));
    }
    case "/webapi/find":
      allow(request, "GET");
      return json(200, findResponse(backend.facts()));
    case "/webapi/ping":
      allow(request, "GET");
      return json(200, pingResponse(backend.facts(), backend.preference()));
    case "/webapi/trust":
      allow(request, "GET");
      return json(200, await backend.trust());
    case "/webapi/users/password/token":
      allow(request, "PUT");
      return json(200, await acceptFromJson(request, backend));
  }
  const token = /^\/webapi\/users\/password\/token\/([^/]+)$/.exec(path)?.[1];
  if (token !== undefined) {
    allow(request, "GET");
    return json(200, { tokenId: checkToken(token), ...(await backend.readInvite(checkToken(token))) });
  }
  throw new WebProblem(404, "there is nothing at this path");
}

async function inviteRoute(rawToken: string, request: WebRequest, backend: WebBackend): Promise<WebResponse> {
  allow(request, "GET", "POST");
  const token = checkToken(rawToken);
  const invite = await backend.readInvite(token);
  if (request.method !== "POST") return page(200, invitePage(invite));
  const form = formOf(request);
  const password = form.get("password") ?? "";
  if (password !== (form.get("confirm") ?? "")) {
    return page(400, invitePage({ ...invite, problem: "The two passwords differ." }));
  }
  try {
    const { user } = await backend.acceptInvite(token, password);
    return page(200, inviteDonePage(user, backend.facts().publicAddr));
  } catch (error) {
    // A password that Auth refuses can be typed again; what else failed cannot.
    if (!(error instanceof WebProblem) || error.status !== 400) throw error;
    return page(400, invitePage({ ...invite, problem: error.message }));
  }
}

/** Teleport's body: the password is base64 in JSON. */
function acceptFromJson(request: WebRequest, backend: WebBackend): Promise<{ user: string }> {
  const text = decodeUtf8(request.body);
  let body: unknown;
  try {
    body = JSON.parse(text ?? "");
  } catch (cause) {
    throw new WebProblem(400, "the body is not JSON", { cause });
  }
  const { token, password } = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  if (typeof token !== "string" || typeof password !== "string") {
    throw new WebProblem(400, 'the body must be {"token", "password"}, the password in base64');
  }
  const octets = Buffer.from(password, "base64");
  const decoded = decodeUtf8(octets);
  if (decoded === undefined || octets.toString("base64") !== password) {
    throw new WebProblem(400, "the password must be UTF-8 in base64");
  }
  return backend.acceptInvite(checkToken(token), decoded);
}

function formOf(request: WebRequest): URLSearchParams {
  const [type] = request.contentType.split(";");
  if (type?.trim().toLowerCase() !== "application/x-www-form-urlencoded") {
    throw new WebProblem(415, "send this form as application/x-www-form-urlencoded");
  }
  return new URLSearchParams(decodeUtf8(request.body) ?? "");
}

function checkToken(token: string): string {
  if (token.length > MAX_TOKEN_LEN || !/^[\w.~-]+$/.test(token))
    throw new WebProblem(404, "this invitation does not exist");
  return token;
}

function allow(request: WebRequest, ...methods: string[]): void {
  const method = request.method === "HEAD" ? "GET" : request.method;
  if (methods.includes(method)) return;
  // RFC 9110 §15.5.6 wants the header.
  throw new WebProblem(405, `only ${methods.join(" and ")} here`, { headers: { Allow: methods.join(", ") } });
}

/**
 * The path without query, and without the `/v1` that clients may put before
 * `/webapi`. A whole URL is taken too, as RFC 9112 §3.2.2 demands.
 */
function pathOf(target: string): { text: string } | Malformed {
  const path = target.replace(/^https?:\/\/[^/?]*/i, "").split("?", 1)[0] ?? "";
  if (!path.startsWith("/")) return malformed("web.target");
  try {
    return { text: decodeURIComponent(path.startsWith("/v1/webapi/") ? path.slice("/v1".length) : path) };
  } catch {
    return malformed("web.target");
  }
}

/** The host part of `host:port`, for comparing: lower case, no port, brackets or trailing dot. */
export function hostName(hostPort: string): string {
  return hostPort
    .toLowerCase()
    .replace(/:\d+$/, "")
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "");
}

function isProxyHost(host: string, { hosts }: PublicFacts): boolean {
  return hosts.includes(host) || host === "localhost" || host === "" || isIP(host) !== 0;
}

function page(status: number, markup: string): WebResponse {
  return response(status, HTML_HEADERS, markup);
}

function json(status: number, value: object): WebResponse {
  return response(status, { "Content-Type": "application/json", "Cache-Control": "no-store" }, JSON.stringify(value));
}

export function jsonError(status: number, message: string): WebResponse {
  return json(status, { error: { message } });
}

function response(status: number, headers: Record<string, string>, body: string): WebResponse {
  return { status, headers: { ...SECURITY_HEADERS, ...headers }, body: encodeUtf8(body) };
}
