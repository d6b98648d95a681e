/** Our agent of the path: dials, checks and records as the real one, but asks nobody who may connect, and its audit events go nowhere once they are text. */
import { randomBytes } from "node:crypto";
import type { App } from "../../src/api/mod.ts";
import { Connections } from "../../src/app/mod.ts";
import { Counters, silentLogger, systemClock } from "../../src/base/mod.ts";
import { AgentTunnel, AppLinkServer } from "../../src/tunnel/mod.ts";
import { type AgentStart, serve } from "./part.ts";

serve(async ({ credentials, userCas, proxyPort, targetPort }: AgentStart) => {
  const tools = { clock: systemClock, counters: new Counters(), log: silentLogger };
  const instance = randomBytes(8);
  const spec = { uri: `tcp://127.0.0.1:${targetPort}`, public_addr: "app.bench.test" };
  const app: App = { kind: "app", version: "v3", metadata: { name: "bench" }, spec };
  const controls = { strictLocks: false, requireMfa: false };
  const connections = new Connections({
    ...tools,
    hostId: "agent",
    hostname: "agent",
    audit: (event) => void JSON.stringify(event),
  });
  const server = new AppLinkServer({
    ...tools,
    credentials: () => credentials,
    userCas: () => userCas,
    instance,
    authorize: () => undefined,
    onOpen: (request, context) => void connections.serve(request, { app, client: context.identity, context, controls }),
  });
  const tunnel = new AgentTunnel({
    ...tools,
    proxyAddress: `127.0.0.1:${proxyPort}`,
    credentials: () => credentials,
    instance,
    onRoute: (socket, route) => server.accept(socket, route),
  });
  await tunnel.ready;
});
