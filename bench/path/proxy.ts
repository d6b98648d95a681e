/** Our proxy of the path: blind relays to the agent. */
import { Counters, silentLogger, systemClock } from "../../src/base/mod.ts";
import { CONTROL_ALPN, PortDispatcher, ProxyTunnel } from "../../src/tunnel/mod.ts";
import { type ProxyStart, serve } from "./part.ts";
import { listen } from "./sockets.ts";

const HOUR_MS = 3_600_000;

serve(async ({ credentials, sessions }: ProxyStart) => {
  const tools = { clock: systemClock, counters: new Counters(), log: silentLogger };
  const known = new Map(sessions.map((session) => [session.sessionId, session]));
  const tunnel = new ProxyTunnel({
    ...tools,
    credentials: () => credentials,
    session: async (id) => {
      const session = known.get(id);
      if (session === undefined) return undefined;
      const { sessionId, cluster, routeKey } = session;
      return { sessionId, cluster, routeKey, app: "bench", expires: Date.now() + HOUR_MS };
    },
    agents: () => [{ hostId: "agent", healthy: true }],
  });
  const dispatcher = new PortDispatcher({
    ...tools,
    onData: (socket) => tunnel.dataConnection(socket),
    onHello: (connection) => {
      if (connection.hello.alpn.includes(CONTROL_ALPN)) tunnel.control(connection.socket);
      else tunnel.link(connection);
    },
  });
  return await listen((socket) => dispatcher.accept(socket));
});
