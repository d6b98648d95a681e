import type { ByteStream } from "../base/mod.ts";
import type { AppView, ClusterView, Directory } from "../vnet/mod.ts";
import { streamPair } from "./stream-pair.ts";
import { StreamUser } from "./stream-user.ts";

export function appView(
  publicAddr: string,
  tcpPorts: AppView["tcpPorts"] = [],
  protocol: AppView["protocol"] = "tcp",
): AppView {
  return { name: publicAddr.split(".")[0]!, publicAddr, protocol, tcpPorts };
}

/** A root cluster with two zones and apps of each sort. */
export const ROOT_VIEW: ClusterView = {
  profile: "teleport.example.com",
  cluster: "teleport.example.com",
  proxyHosts: ["teleport.example.com"],
  zones: ["company.test", "example.com"],
  ipv4Cidr: "192.168.2.0/24",
  apps: [
    appView("echo.company.test"),
    appView("deep.er.company.test"),
    appView("multi.company.test", [{ port: 1337 }, { port: 4000, endPort: 4010 }]),
    appView("web.company.test", [], "http"),
    appView("teleport.example.com"),
  ],
};

/** A leaf of the same login. */
export const LEAF_VIEW: ClusterView = {
  ...ROOT_VIEW,
  cluster: "leaf",
  proxyHosts: ["leaf.example.org"],
  zones: [],
  ipv4Cidr: "100.64.0.0/10",
  apps: [appView("echo.leaf.example.org")],
};

export type FakeDial = (port: number, signal: AbortSignal, app: AppView) => Promise<ByteStream>;

/** A directory whose apps answer with what they got, unless told otherwise. */
export class FakeDirectory implements Directory {
  view: readonly ClusterView[] = [ROOT_VIEW, LEAF_VIEW];
  readonly dialled: string[] = [];
  /** Clusters that needed a login, once for each question. */
  readonly needed: string[] = [];
  /** The apps' ends of all connections. */
  readonly servers: StreamUser[] = [];
  readonly #dial: FakeDial;
  #listener = () => {};

  constructor(dial?: FakeDial) {
    this.#dial = dial ?? (() => Promise.resolve(this.serve()));
  }

  clusters() {
    return this.view;
  }

  change(view: readonly ClusterView[]) {
    this.view = view;
    this.#listener();
  }

  onChange(listener: () => void) {
    this.#listener = listener;
    return () => {
      this.#listener = () => {};
    };
  }

  dial(cluster: ClusterView, to: AppView, port: number, signal: AbortSignal) {
    this.dialled.push(`${cluster.cluster}/${to.publicAddr}:${port}`);
    return this.#dial(port, signal, to);
  }

  needsLogin(cluster: ClusterView) {
    this.needed.push(cluster.cluster);
  }

  /** One end of a stream whose other end echoes; that is kept in `servers`. */
  serve(): ByteStream {
    const [near, server] = echoStream();
    this.servers.push(server);
    return near;
  }
}

/** A stream to a server that sends back what it gets, and ends when the client has. */
export function echoStream(): [ByteStream, StreamUser] {
  const [near, far] = streamPair();
  const server = new StreamUser(far, { onData: (bytes) => server.send(bytes) });
  void server.peerEnded.then((how) => how === "end" && server.end());
  return [near, server];
}
