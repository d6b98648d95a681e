import { type AppServer, AUTH_PREFERENCE_NAME, appProtocol, parseDuration, secondFactorPolicy } from "../../api/mod.ts";
import { messageOf, OperationError } from "../../base/mod.ts";
import type { RpcClient } from "../../rpc/mod.ts";
import type { ProxyView } from "../routes.ts";
import { WebProblem } from "./answers.ts";
import type { WebBackend } from "./contract.ts";
import type { PublicFacts } from "./find.ts";
import { hostName } from "./site.ts";

const DEFAULT_SESSION_TTL_MS = 12 * 3_600_000;

export interface ClusterBackendOptions {
  readonly view: ProxyView;
  /** Calls with no certificate: the pages speak for whoever opened them, never for the proxy. */
  readonly anonymous: RpcClient;
  /** The same for one call that counts against its sender, `address:port`; to be closed. */
  inNameOf(client: string): RpcClient;
  facts(): PublicFacts;
}

/** The pages' view of a real cluster. */
export function clusterBackend({ view, anonymous, inNameOf, facts }: ClusterBackendOptions): WebBackend {
  return {
    facts,
    preference() {
      const spec = view.get("cluster_auth_preference", AUTH_PREFERENCE_NAME)?.spec;
      return {
        ...secondFactorPolicy(spec),
        passwordless: spec?.allow_passwordless !== false,
        rpId: spec?.webauthn?.rp_id,
        defaultSessionTtlMs: parseDuration(spec?.default_session_ttl ?? "") ?? DEFAULT_SESSION_TTL_MS,
        messageOfTheDay: spec?.message_of_the_day ?? "",
      };
    },
    trust: () => explained(anonymous.call("cluster.trust", {})),
    async readLink(token) {
      const { mfa_optional: mfaOptional, ...link } = await explained(anonymous.call("invite.read", { token }));
      return { ...link, mfaOptional };
    },
    acceptLink: async ({ token, password, otpToken, webauthn, deviceName }, client) => {
      await using rpc = inNameOf(client);
      return await explained(
        rpc.call("invite.accept", {
          token,
          password,
          ...(otpToken !== undefined && { otp_token: otpToken }),
          ...(webauthn && { webauthn }),
          ...(deviceName !== undefined && { device_name: deviceName }),
        }),
      );
    },
    readApproval: (id) => explained(anonymous.call("approval.read", { id })),
    async confirmApproval(id, webauthn, client) {
      await using rpc = inNameOf(client);
      return await explained(rpc.call("approval.confirm", { id, webauthn }));
    },
    readRegistration: (id) => explained(anonymous.call("registration.read", { id })),
    async confirmRegistration(id, webauthn, client) {
      await using rpc = inNameOf(client);
      return await explained(rpc.call("registration.confirm", { id, webauthn }));
    },
    appAt: (host) => appAt(view.list("app_server"), host),
  };
}

function appAt(servers: readonly AppServer[], host: string): ReturnType<WebBackend["appAt"]> {
  const found = servers.find(({ spec }) => hostName(spec.app.spec.public_addr ?? "") === host);
  if (found === undefined) return undefined;
  return { name: found.spec.app.metadata.name, protocol: appProtocol(found.spec.app) };
}

/** Auth's refusals with the HTTP status they deserve; its texts are written for users. */
async function explained<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    throw new WebProblem(statusOf(error), messageOf(error), { cause: error });
  }
}

function statusOf(error: OperationError): number {
  switch (error.code) {
    case "api.bad-input":
      return 400;
    case "api.unauthenticated":
    case "api.access-denied":
      return 403;
    case "api.not-found":
      return 404;
    case "api.limit-exceeded":
      return 429;
    default:
      return error.retryable ? 503 : 502;
  }
}
