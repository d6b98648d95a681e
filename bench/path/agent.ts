/** The agent of the path: ends links, the reference's TLS, and plain pipes. */
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { createServer } from "node:tls";
import { Counters, silentLogger, splice, systemClock } from "../../src/base/mod.ts";
import { TLS_DEFAULTS } from "../../src/pki/mod.ts";
import { AgentTunnel, AppLinkServer, socketStream } from "../../src/tunnel/mod.ts";
import { type AgentStart, serve } from "./messages.ts";
import { listen, listenOn, pipeBoth } from "./sockets.ts";

serve(async ({ credentials, userCas, proxy, appPort }: AgentStart) => {
  const toApp = { host: "127.0.0.1", port: appPort, noDelay: true };
  const tools = { clock: systemClock, counters: new Counters(), log: silentLogger };
  const instance = randomBytes(8);
  const server = new AppLinkServer({
    ...tools,
    credentials: () => credentials,
    userCas: () => userCas,
    instance,
    authorize: () => undefined,
    onOpen: (request) => {
      const socket = connect({ ...toApp, allowHalfOpen: true });
      socket.on("error", () => {});
      socket.once("connect", () => splice(request.accept(), socketStream(socket), () => {}));
    },
  });
  const tunnel = new AgentTunnel({
    ...tools,
    proxyAddress: `127.0.0.1:${proxy.link}`,
    credentials: () => credentials,
    instance,
    onRoute: (socket, route) => server.accept(socket, route),
  });
  await tunnel.ready;
  const { certPem, keyPem } = credentials;
  const secure = createServer(
    { ...TLS_DEFAULTS, cert: certPem, key: keyPem, ca: userCas, requestCert: true, rejectUnauthorized: true },
    (socket) => pipeBoth(socket, connect(toApp)),
  );
  secure.on("connection", (socket) => socket.setNoDelay(true));
  const raw = await listen((socket) => pipeBoth(socket, connect(toApp)));
  return { link: 0, tls: await listenOn(secure), raw };
});
