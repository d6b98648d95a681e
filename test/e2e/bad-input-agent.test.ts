/**
 * A false way to the app: something between the user and the proxy answers for
 * the agent, with the genuine certificate of another agent of the cluster. It
 * must be refused, and must not learn who the user is: the client certificate,
 * with user and roles in it, is never sent (PROTOCOL section 1).
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import test from "node:test";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { identityOf, TLS_DEFAULTS } from "../../src/pki/mod.ts";
import { freePort } from "../../src/testkit/mod.ts";
import { LINK_ALPN } from "../../src/tunnel/mod.ts";
import { LoopbackCluster, USER } from "./loopback-cluster.ts";

test("an agent whose certificate is not among the session's", async (t) => {
  const proxyPort = await freePort();
  await using between = await Between.start(proxyPort);
  await using cluster = await LoopbackCluster.start({
    apart: true,
    proxyPort,
    publicAddr: `localhost:${between.port}`,
  });
  cluster.alias(`:${between.port}`, ":BETWEEN");
  // It joined with a token like any other agent, and serves another app.
  await cluster.writeAgentConfig("stranger", [{ name: "other", uri: "tcp://127.0.0.1:1" }]);
  await (await cluster.startAgent("stranger.yaml")).stop();
  const stranger = hostOf(cluster, "stranger-data");

  await t.test("is refused, and is told nothing", async () => {
    await between.answerAs(stranger);
    const said = await connectOnce(cluster);
    assert.equal(
      said.replaceAll(stranger.host_id, "STRANGER"),
      "echo: the agent that answered through localhost:BETWEEN is not one of the app's: " +
        "the server is not the expected host: host STRANGER is not among those that may answer\n",
    );
    assert.ok(between.answered > 0, "it was asked");
    assert.deepEqual(between.users, []);
    assert.ok(between.octets < 100, `${between.octets} octets after the ClientHello: an alert, no certificate`);
  });

  await t.test("the same trap with the right agent's certificate would have seen the user", async () => {
    await between.answerAs(hostOf(cluster, "agent-data"));
    await connectOnce(cluster);
    // Cut off without a word, tsh tries once more with a new certificate: the trap sees the user each time.
    assert.deepEqual([...new Set(between.users)], [USER]);
    assert.ok(between.octets > 700, `${between.octets} octets after the ClientHello`);
  });
});

interface Host {
  readonly host_id: string;
  readonly cert: string;
  readonly key: string;
}

/** What joining has left in a data directory. */
function hostOf(cluster: LoopbackCluster, dataDir: string): Host {
  return JSON.parse(readFileSync(cluster.file(`${dataDir}/proc/app.json`), "utf8")) as Host;
}

/** One connection by `tsh proxy app echo`: what tsh says of it. */
async function connectOnce(cluster: LoopbackCluster): Promise<string> {
  await using proxy = cluster.spawn("tsh", ["proxy", "app", "echo"]);
  const [, port] = await proxy.waitFor(/on 127\.0\.0\.1:(\d+)$/m);
  const socket = connect(Number(port), "127.0.0.1", () => socket.write("hello"));
  socket.on("error", () => {});
  await proxy.waitFor(/^echo: /m);
  return cluster.comparable(proxy.output.replace(/^Proxying.*\n|^To avoid.*\n/gm, ""));
}

/** Relays to the proxy, but answers links itself once it has a certificate. */
class Between implements AsyncDisposable {
  /** Handshakes that were begun here. */
  answered = 0;
  /** The most that one client sent after its ClientHello. */
  octets = 0;
  /** Who showed a certificate. */
  readonly users: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #trap: Server | undefined;

  private constructor(proxyPort: number) {
    this.#server = createServer((client) => this.#accept(client, proxyPort));
  }

  static async start(proxyPort: number): Promise<Between> {
    const between = new Between(proxyPort);
    await listen(between.#server);
    return between;
  }

  get port(): number {
    return portOf(this.#server);
  }

  async answerAs(host: Host): Promise<void> {
    this.#trap?.close();
    this.octets = 0;
    this.#trap = createTlsServer(
      {
        ...TLS_DEFAULTS,
        ...{ cert: host.cert, key: host.key, ALPNProtocols: [LINK_ALPN] },
        ...{ requestCert: true, rejectUnauthorized: false },
      },
      (socket) => this.#sawUser(socket),
    );
    this.#trap.on("tlsClientError", () => {});
    await listen(this.#trap);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#trap?.close();
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    return Promise.resolve();
  }

  #accept(client: Socket, proxyPort: number): void {
    this.#keep(client);
    client.once("data", (first) => {
      const trapped = this.#trap !== undefined && first[0] === 0x16 && first.includes(LINK_ALPN);
      const server = connect(trapped ? portOf(this.#trap!) : proxyPort, "127.0.0.1");
      this.#keep(server).once("close", () => client.destroy());
      client.once("close", () => server.destroy());
      server.write(first);
      if (trapped) this.#count(client);
      client.pipe(server).pipe(client);
    });
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on("error", () => {}); // what matters of it is told by "close"
    return socket.once("close", () => this.#sockets.delete(socket));
  }

  #count(client: Socket): void {
    this.answered++;
    let octets = 0;
    client.on("data", (piece) => {
      octets += piece.length;
      this.octets = Math.max(this.octets, octets);
    });
  }

  #sawUser(socket: TLSSocket): void {
    const certificate = socket.getPeerX509Certificate();
    const identity = certificate && identityOf(certificate.raw);
    if (identity !== undefined && "user" in identity) this.users.push(identity.user);
    socket.destroy();
  }
}

async function listen(server: Server): Promise<void> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
