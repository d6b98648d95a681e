import { decodeUtf8 } from "../../base/mod.ts";
import {
  allow,
  checkToken,
  formOf,
  json,
  jsonObject,
  page,
  WebProblem,
  type WebRequest,
  type WebResponse,
} from "./answers.ts";
import type { NewCredentials, WebBackend } from "./contract.ts";
import { approvalPage, backToTerminalPage, linkDonePage, linkPage, registrationPage } from "./user-pages.ts";

/** Invites, resets and passkeys: pages behind links that are good once. `undefined`: the path is none of them. */
export async function userRoute(
  path: string,
  request: WebRequest,
  backend: WebBackend,
): Promise<WebResponse | undefined> {
  const [, link] = /^\/web\/(?:invite|reset)\/([^/]+)$/.exec(path) ?? [];
  if (link !== undefined) return linkRoute(checkToken(link), request, backend);
  const [, registration] = /^\/web\/mfa\/add\/([^/]+)$/.exec(path) ?? [];
  if (registration !== undefined) return registrationRoute(checkToken(registration), request, backend);
  const [, approval] = /^\/web\/mfa\/([^/]+)$/.exec(path) ?? [];
  if (approval !== undefined) return approvalRoute(checkToken(approval), request, backend);
  const [, token] = /^\/webapi\/users\/password\/token\/([^/]+)$/.exec(path) ?? [];
  if (token !== undefined) {
    allow(request, "GET");
    return json(200, { tokenId: checkToken(token), ...(await backend.readLink(checkToken(token))) });
  }
  if (path !== "/webapi/users/password/token") return undefined;
  allow(request, "PUT");
  const { user } = await backend.acceptLink(fromJson(request), request.client);
  return json(200, { user });
}

async function linkRoute(token: string, request: WebRequest, backend: WebBackend): Promise<WebResponse> {
  allow(request, "GET", "POST");
  if (request.method !== "POST") return page(200, linkPage(await backend.readLink(token)));
  const form = formOf(request);
  const again = async (problem: string) => page(400, linkPage(await backend.readLink(token), problem));
  const password = form.get("password") ?? "";
  if (password !== (form.get("confirm") ?? "")) return again("The two passwords differ.");
  return orAgain(again, async () => {
    const [otpToken, passkey] = [form.get("otp"), form.get("passkey")];
    const credentials = {
      token,
      password,
      ...(otpToken && { otpToken }),
      ...(passkey && { webauthn: jsonObject(passkey, "the passkey") }),
    };
    const { user } = await backend.acceptLink(credentials, request.client);
    return page(200, linkDonePage(user, backend.facts().publicAddr));
  });
}

async function approvalRoute(id: string, request: WebRequest, backend: WebBackend): Promise<WebResponse> {
  allow(request, "GET", "POST");
  if (request.method !== "POST") return page(200, approvalPage(await backend.readApproval(id)));
  const again = async (problem: string) => page(400, approvalPage(await backend.readApproval(id), problem));
  return orAgain(again, async () => {
    await backend.confirmApproval(id, passkeyOf(request), request.client);
    return page(200, backToTerminalPage("Confirmed"));
  });
}

async function registrationRoute(id: string, request: WebRequest, backend: WebBackend): Promise<WebResponse> {
  allow(request, "GET", "POST");
  if (request.method !== "POST") return page(200, registrationPage(await backend.readRegistration(id)));
  const again = async (problem: string) => page(400, registrationPage(await backend.readRegistration(id), problem));
  return orAgain(again, async () => {
    await backend.confirmRegistration(id, passkeyOf(request), request.client);
    return page(200, backToTerminalPage("The passkey is added"));
  });
}

/** What Auth refuses as wrong can be tried again on the same page; what else failed cannot. */
async function orAgain(
  again: (problem: string) => Promise<WebResponse>,
  run: () => Promise<WebResponse>,
): Promise<WebResponse> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof WebProblem) || (error.status !== 400 && error.status !== 403)) throw error;
    return again(error.message);
  }
}

function passkeyOf(request: WebRequest): Record<string, unknown> {
  return jsonObject(formOf(request).get("passkey") ?? undefined, "the passkey");
}

/** Teleport's body: the password is base64 in JSON. */
function fromJson(request: WebRequest): NewCredentials {
  const body = jsonObject(decodeUtf8(request.body), "the body");
  const { token, password, second_factor_token: otp, webauthnCreationResponse: webauthn, deviceName } = body;
  if (typeof token !== "string" || typeof password !== "string") {
    throw new WebProblem(400, 'the body must be {"token", "password"}, the password in base64');
  }
  const octets = Buffer.from(password, "base64");
  const decoded = decodeUtf8(octets);
  if (decoded === undefined || octets.toString("base64") !== password) {
    throw new WebProblem(400, "the password must be UTF-8 in base64");
  }
  return {
    token: checkToken(token),
    password: decoded,
    ...(typeof otp === "string" && otp !== "" && { otpToken: otp }),
    ...(typeof webauthn === "object" && webauthn !== null && { webauthn: webauthn as Record<string, unknown> }),
    ...(typeof deviceName === "string" && deviceName !== "" && { deviceName }),
  };
}
