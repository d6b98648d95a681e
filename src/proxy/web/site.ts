import { isIP } from "node:net";
import { isMalformed, type Malformed, malformed } from "../../base/mod.ts";
import { allow, json, jsonError, page, response, WebProblem, type WebRequest, type WebResponse } from "./answers.ts";
import type { Assets } from "./assets.ts";
import type { WebBackend } from "./contract.ts";
import { findResponse, type PublicFacts, pingResponse } from "./find.ts";
import { appPage, errorPage, homePage } from "./pages.ts";
import { userRoute } from "./user-routes.ts";

/** Answers one request, whatever it is; rejects only where the proxy itself has failed. */
export async function respond(request: WebRequest, backend: WebBackend, assets: Assets): Promise<WebResponse> {
  const path = pathOf(request.target);
  if (isMalformed(path)) return jsonError(400, "the request's path cannot be read");
  const host = hostName(request.host);
  if (!isProxyHost(host, backend.facts())) {
    const app = backend.appAt(host);
    if (app !== undefined) return page(501, appPage(host, app));
    // Programs may know the proxy by a name that it does not; people are told.
    if (!path.text.startsWith("/webapi/")) return page(404, appPage(host, undefined));
  }
  try {
    return (await userRoute(path.text, request, backend)) ?? (await other(path.text, request, backend, assets));
  } catch (error) {
    if (!(error instanceof WebProblem)) throw error;
    const isPage = path.text.startsWith("/web") && !path.text.startsWith("/webapi/");
    const answer = isPage
      ? page(error.status, errorPage("That did not work", error.message))
      : jsonError(error.status, error.message);
    return { ...answer, headers: { ...answer.headers, ...error.headers } };
  }
}

async function other(path: string, request: WebRequest, backend: WebBackend, assets: Assets): Promise<WebResponse> {
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
    case "/webapi/motd":
      allow(request, "GET");
      return json(200, { text: backend.preference().messageOfTheDay });
    case "/webapi/trust":
      allow(request, "GET");
      return json(200, await backend.trust());
  }
  const asset = assets.get(path);
  if (asset === undefined) throw new WebProblem(404, "there is nothing at this path");
  allow(request, "GET");
  return response(200, { "Content-Type": asset.type, "Cache-Control": "no-cache" }, asset.text);
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
