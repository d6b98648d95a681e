import { randomBytes } from "node:crypto";
import { createCa, generateKeyPair, type HostRole, issueHostCert, issueUserCert } from "../../src/pki/mod.ts";
import type { AppSession, HostCredentials } from "../../src/tunnel/mod.ts";

const CLUSTER = "bench.test";
const HOUR_MS = 3_600_000;

/** Everybody's certificates, as Auth issues them. */
export interface Credentials {
  readonly proxy: HostCredentials;
  readonly agent: HostCredentials;
  readonly userCas: readonly string[];
  /** Each for an app of its own, `app0` and so on. */
  readonly sessions: readonly AppSession[];
}

export async function issueCredentials(sessions: number): Promise<Credentials> {
  const now = Date.now();
  const hostCa = await createCa({ cluster: CLUSTER, type: "host", now });
  const userCa = await createCa({ cluster: CLUSTER, type: "user", now });
  const host = async (hostId: string, role: HostRole): Promise<HostCredentials> => {
    const { keyPem, publicKeyPem } = await generateKeyPair();
    const certPem = await issueHostCert({ ca: hostCa, publicKeyPem, now, cluster: CLUSTER, hostId, roles: [role] });
    return { certPem, keyPem, cluster: CLUSTER, hostCas: [hostCa.certPem] };
  };
  const session = async (app: string): Promise<AppSession> => {
    const sessionId = randomBytes(16).toString("hex");
    const { keyPem, publicKeyPem } = await generateKeyPair();
    const route = { app, publicAddr: `${app}.${CLUSTER}`, cluster: CLUSTER, sessionId };
    const user = { user: "bench", roles: ["access"], traits: {}, expires: now + HOUR_MS, route };
    const certPem = await issueUserCert({ ca: userCa, publicKeyPem, now, cluster: CLUSTER, ...user });
    const routeKey = randomBytes(32);
    return { sessionId, cluster: CLUSTER, certPem, keyPem, hostCas: [hostCa.certPem], hostIds: ["agent"], routeKey };
  };
  return {
    proxy: await host("proxy", "Proxy"),
    agent: await host("agent", "App"),
    userCas: [userCa.certPem],
    sessions: await Promise.all(Array.from({ length: sessions }, (_, i) => session(`app${i}`))),
  };
}
