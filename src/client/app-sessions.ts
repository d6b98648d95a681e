import type { AppSessionAnswer, AppView } from "../api/mod.ts";
import type { RpcClient } from "../rpc/mod.ts";
import { MfaDesk } from "./mfa-desk.ts";

export type AppRef = Pick<AppView, "name" | "publicAddr">;

/** The hosts that may answer for an app, and who vouches for them. */
export type AgentsAnswer = Pick<AppSessionAnswer, "agents" | "host_cas">;

/** Where the app sessions of one cluster come from. */
export interface AppSessions {
  create(app: AppRef, csr: string, signal: AbortSignal): Promise<AppSessionAnswer>;
  /** For the same key and session. */
  renew(session: AppSessionAnswer, csr: string, signal: AbortSignal): Promise<AppSessionAnswer>;
  agents(session: AppSessionAnswer, signal: AbortSignal): Promise<AgentsAnswer>;
  end(sessionId: string, timeoutMs: number): Promise<void>;
}

/** Of the cluster that the user has logged in to. */
export function ownSessions(rpc: RpcClient, desk = nobody()): AppSessions {
  return {
    create: ({ name }, csr, signal) => desk.openSession(rpc, { app: name, csr }, signal),
    renew: ({ session_id }, csr, signal) => rpc.call("app_session.renew", { session_id, csr }, { signal }),
    agents: ({ session_id }, signal) => rpc.call("app_session.agents", { session_id }, { signal }),
    async end(session_id, timeoutMs) {
      await rpc.call("app_session.end", { session_id }, { timeoutMs });
    },
  };
}

/** Of a leaf: its root issues the session, the leaf's own Auth names the agents (PROTOCOL section 5). */
export function leafSessions(root: RpcClient, leaf: RpcClient, cluster: string, desk: MfaDesk): AppSessions {
  const own = ownSessions(root, desk);
  const agents = (session: Pick<AppSessionAnswer, "app" | "public_addr">, signal: AbortSignal) =>
    leaf.call("app.agents", { app: session.app, public_addr: session.public_addr }, { signal });
  const withAgents = async (session: AppSessionAnswer, signal: AbortSignal): Promise<AppSessionAnswer> => {
    const { agents: hosts, host_cas } = await agents(session, signal);
    return { ...session, agents: hosts, host_cas };
  };
  return {
    ...own,
    async create({ name, publicAddr }, csr, signal) {
      // First: an app that the user may not reach there is no reason for a session here.
      const { agents: hosts, host_cas, mfa_required } = await agents({ app: name, public_addr: publicAddr }, signal);
      const request = { app: name, cluster, public_addr: publicAddr, csr };
      const session = await (mfa_required
        ? desk.openWithFactor(root, request, signal)
        : desk.openSession(root, request, signal));
      return { ...session, agents: hosts, host_cas };
    },
    renew: async (session, csr, signal) => withAgents(await own.renew(session, csr, signal), signal),
    agents,
  };
}

/** For programs without a person: an app that asks for a second factor is out of their reach. */
function nobody(): MfaDesk {
  return new MfaDesk({ person: () => ({}), tell: () => {} });
}
