/** The client of the path: a local port for each shape, as `tsh proxy app` has one. */
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { Counters, silentLogger, splice, systemClock } from "../../src/base/mod.ts";
import { TLS_DEFAULTS } from "../../src/pki/mod.ts";
import { dialAppLink, RouteCounters, socketStream } from "../../src/tunnel/mod.ts";
import { type ClientStart, serve } from "./messages.ts";
import { listen, pipeBoth } from "./sockets.ts";

serve(async ({ session, proxy }: ClientStart) => {
  const { link } = await dialAppLink({
    clock: systemClock,
    counters: new Counters(),
    log: silentLogger,
    session,
    proxies: [`127.0.0.1:${proxy.link}`],
    routes: new RouteCounters(),
    instance: randomBytes(8),
    resume: true,
  });
  const toProxy = { host: "127.0.0.1", noDelay: true };
  const { certPem, keyPem, hostCas } = session;
  return {
    link: await listen((socket) => {
      void link.open(0).then((stream) => splice(socketStream(socket), stream, () => {}));
    }),
    tls: await listen((socket) => {
      const secure = connectTls({
        ...TLS_DEFAULTS,
        ...toProxy,
        port: proxy.tls,
        cert: certPem,
        key: keyPem,
        ca: [...hostCas],
        checkServerIdentity: () => undefined,
      });
      secure.setNoDelay(true);
      pipeBoth(socket, secure);
    }),
    raw: await listen((socket) => pipeBoth(socket, connect({ ...toProxy, port: proxy.raw }))),
  };
});
