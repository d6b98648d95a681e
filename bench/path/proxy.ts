/** The proxy of the path: our tunnel, and plain pipes to the agent for both references. */
import { once } from "node:events";
import { connect } from "node:net";
import { Counters, silentLogger, systemClock } from "../../src/base/mod.ts";
import { CONTROL_ALPN, PortDispatcher, ProxyTunnel } from "../../src/tunnel/mod.ts";
import { type Ports, type ProxyStart, serve } from "./messages.ts";
import { listen, pipeBoth } from "./sockets.ts";

serve(async ({ credentials, session }: ProxyStart) => {
  const tools = { clock: systemClock, counters: new Counters(), log: silentLogger };
  const { sessionId, cluster, routeKey } = session;
  const tunnel = new ProxyTunnel({
    ...tools,
    credentials: () => credentials,
    session: async () => ({ sessionId, cluster, routeKey, app: "bench", expires: Date.now() + 3_600_000 }),
    agents: () => session.hostIds.map((hostId) => ({ hostId, healthy: true })),
  });
  const dispatcher = new PortDispatcher({
    ...tools,
    onData: (socket) => tunnel.dataConnection(socket),
    onHello: (connection) => {
      if (connection.hello.alpn.includes(CONTROL_ALPN)) tunnel.control(connection.socket);
      else tunnel.link(connection);
    },
  });
  // The agent's ports follow, as it is started after us.
  const agent = once(process, "message") as Promise<[Ports]>;
  const pipeTo = (shape: "tls" | "raw") =>
    listen((socket) => {
      void agent.then(([ports]) => pipeBoth(socket, connect({ host: "127.0.0.1", port: ports[shape], noDelay: true })));
    });
  return {
    link: await listen((socket) => dispatcher.accept(socket)),
    tls: await pipeTo("tls"),
    raw: await pipeTo("raw"),
  };
});
