/** Our client of the path: a link for each session, behind addresses of VNet or behind local ports. */
import { randomBytes } from "node:crypto";
import { Counters, silentLogger, splice, systemClock } from "../../src/base/mod.ts";
import { type AppSession, dialAppLink, RouteCounters, socketStream } from "../../src/tunnel/mod.ts";
import { type ClientAnswer, type ClientStart, type Entry, serve } from "./part.ts";
import { listen } from "./sockets.ts";
import { type Dial, vnetTo } from "./vnet.ts";

serve(async ({ sessions, proxyPort, entry }: ClientStart): Promise<ClientAnswer> => {
  const connect = (session: AppSession) => {
    const routes = new RouteCounters();
    const instance = randomBytes(8);
    const tools = { clock: systemClock, counters: new Counters(), log: silentLogger };
    return () =>
      dialAppLink({ ...tools, session, proxies: [`127.0.0.1:${proxyPort}`], routes, instance, resume: true });
  };
  const warm = async (session: AppSession): Promise<Dial> => {
    const { link } = await connect(session)();
    return () => link.open(0);
  };
  const cold = (session: AppSession): Dial => {
    const dial = connect(session);
    return async () => {
      const { link } = await dial();
      const stream = await link.open(0);
      link.drain(); // It ends with its one stream.
      return stream;
    };
  };
  const dials = [...(await Promise.all(sessions.slice(1).map(warm))), cold(sessions[0]!)];
  const entries = entry === "tun" ? await vnetTo(dials) : await Promise.all(dials.map(localPort));
  return { entries: entries.slice(0, -1), cold: entries.at(-1)! };
});

async function localPort(dial: Dial): Promise<Entry> {
  const port = await listen((socket) => {
    void dial().then((stream) => splice(socketStream(socket), stream, () => {}));
  });
  return { host: "127.0.0.1", port };
}
