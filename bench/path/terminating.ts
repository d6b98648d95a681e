/**
 * A chain whose proxy decrypts, as Teleport's does for a TCP app: TLS from the
 * client to the proxy, ended there, and another TLS connection through a
 * connection that the agent has made beforehand; both with certificates on both
 * sides, for each connection of an app. What one would write first in Node:
 * `pipeline` and buffers of 64 KiB. It is spared what Teleport does besides:
 * its agent's connections are channels of one SSH connection, encrypted again.
 *
 * `terminating.ts client|proxy|agent`
 */
import { connect, createServer, type Socket } from "node:net";
import { type Duplex, pipeline } from "node:stream";
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from "node:tls";
import { TLS_DEFAULTS } from "../../src/pki/mod.ts";
import { type AgentStart, type ClientStart, type ProxyStart, serve } from "./part.ts";
import { listenOn } from "./sockets.ts";

const BUFFERS = { highWaterMark: 64 * 1024, noDelay: true } as const;
const LOOPBACK = { ...BUFFERS, host: "127.0.0.1", allowHalfOpen: true } as const;
/** Connections that the agent keeps at the proxy; what one takes is replaced. */
const WARM_CONNECTIONS = 64;
/** They wait for their handshake. */
const HANDSHAKE_MS = 3_600_000;

export interface TerminatingProxyStart extends ProxyStart {
  readonly userCas: readonly string[];
}
export interface ProxyPorts {
  readonly clients: number;
  readonly agents: number;
}

const ROLES = { client: () => serve(client), proxy: () => serve(proxy), agent: () => serve(agent) };
ROLES[process.argv[2] as keyof typeof ROLES]();

async function client({ sessions, proxyPort }: ClientStart): Promise<number> {
  const { certPem, keyPem, hostCas } = sessions[0]!;
  const tls = { ...TLS_DEFAULTS, cert: certPem, key: keyPem, ca: [...hostCas], checkServerIdentity: () => undefined };
  const server = createServer({ ...BUFFERS, allowHalfOpen: true }, (socket) => {
    const secure = connectTls({ ...tls, ...LOOPBACK, port: proxyPort });
    secure.setNoDelay(true);
    join(socket, secure);
  });
  return listenOn(server);
}

async function proxy({ credentials, userCas, sessions }: TerminatingProxyStart): Promise<ProxyPorts> {
  const waiting: Socket[] = [];
  const wanted: ((socket: Socket) => void)[] = [];
  const agents = createServer({ ...BUFFERS, allowHalfOpen: true }, (socket) => {
    const next = wanted.shift();
    if (next === undefined) waiting.push(socket);
    else next(socket);
  });
  const { certPem, keyPem, hostCas } = sessions[0]!;
  const tls = { ...TLS_DEFAULTS, cert: certPem, key: keyPem, ca: [...hostCas], checkServerIdentity: () => undefined };
  const clients = serverTls({ ...credentials, userCas }, async (secure) => {
    const leg = waiting.shift() ?? (await new Promise<Socket>((resolve) => wanted.push(resolve)));
    join(secure, connectTls({ ...tls, ...BUFFERS, socket: leg }));
  });
  return { clients: await listenOn(clients), agents: await listenOn(agents) };
}

async function agent({ credentials, userCas, proxyPort, targetPort }: AgentStart): Promise<void> {
  const server = serverTls({ ...credentials, userCas }, (secure) => {
    offer();
    join(secure, connect({ ...LOOPBACK, port: targetPort }));
  });
  const offer = () => {
    const socket = connect({ ...LOOPBACK, port: proxyPort });
    socket.once("connect", () => server.emit("connection", socket));
  };
  for (let i = 0; i < WARM_CONNECTIONS; i++) offer();
}

function serverTls(
  o: { certPem: string; keyPem: string; userCas: readonly string[] },
  onSecure: (socket: TLSSocket) => void,
) {
  const certificates = { cert: o.certPem, key: o.keyPem, ca: [...o.userCas] };
  const checks = { requestCert: true, rejectUnauthorized: true, handshakeTimeout: HANDSHAKE_MS };
  const server = createTlsServer(
    { ...TLS_DEFAULTS, ...BUFFERS, ...certificates, ...checks, allowHalfOpen: true },
    onSecure,
  );
  server.on("connection", (socket: Socket) => socket.setNoDelay(true));
  return server;
}

function join(a: Duplex, b: Duplex): void {
  pipeline(a, b, () => {});
  pipeline(b, a, () => {});
}
