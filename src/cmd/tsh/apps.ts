import { createServer, type Server } from "node:net";
import { type App, type AppServer, appProtocol, healthOf, type ListFilter } from "../../api/mod.ts";
import { messageOf, splice, VERSION } from "../../base/mod.ts";
import { AppConnections, AppNotFoundError, type AppRef, summarizeApps } from "../../client/mod.ts";
import { createCsr, generateKeyPair } from "../../pki/mod.ts";
import type { RpcClient } from "../../rpc/mod.ts";
import { socketStream } from "../../tunnel/mod.ts";
import type { Format, LocalPort } from "../cli/arguments.ts";
import { labelsText, printAs } from "../cli/format.ts";
import { listAll } from "../cli/list-all.ts";
import { interruption, print, say, UsageError } from "../cli/program.ts";
import { table } from "../cli/table.ts";
import type { Tsh } from "./session.ts";

export async function listApps(
  tsh: Tsh,
  { verbose, format, cluster }: { verbose: boolean; format: Format; cluster?: string },
  filter: ListFilter,
): Promise<void> {
  const servers = await tsh.inCluster(cluster, ({ rpc }) => listAll(rpc, "app_server", filter));
  printAs(
    format,
    servers.map((server) => server.spec.app),
    () => {
      const rows = new Map<string, string[]>();
      for (const { spec } of servers) {
        const alike = servers.filter((other) => sameApp(other, spec.app));
        const { metadata, spec: app } = spec.app;
        const row = [
          metadata.name,
          metadata.description ?? "",
          appProtocol(spec.app).toUpperCase(),
          app.public_addr ?? "",
          ...(verbose ? [app.uri, healthOf(alike)] : []),
          labelsText(metadata.labels),
        ];
        // Several agents may serve an app: one row for them all.
        rows.set(`${metadata.name}\0${app.public_addr}`, row);
      }
      const header = [
        "Application",
        "Description",
        "Type",
        "Public Address",
        ...(verbose ? ["URI", "Health"] : []),
        "Labels",
      ];
      return table(
        header,
        [...rows.values()].sort((a, b) => a[0]!.localeCompare(b[0]!)),
      );
    },
  );
}

function sameApp({ spec }: AppServer, app: App): boolean {
  return spec.app.metadata.name === app.metadata.name && spec.app.spec.public_addr === app.spec.public_addr;
}

async function findApp(rpc: RpcClient, name: string) {
  const app = summarizeApps(await listAll(rpc, "app_server")).find((each) => each.name === name);
  if (app === undefined) throw new AppNotFoundError(`app "${name}" not found; "tsh apps ls" lists those you may reach`);
  return app;
}

export async function loginToApp(
  tsh: Tsh,
  name: string,
  { cluster, format }: { cluster?: string; format: Format },
): Promise<void> {
  await tsh.inCluster(cluster, async ({ rpc, profile, sessions }) => {
    const app = await findApp(rpc, name);
    const keys = await generateKeyPair();
    const session = await sessions.create(app, await createCsr(keys), new AbortController().signal);
    const files = await tsh.store.saveAppCredential(profile, name, { certPem: session.cert, keyPem: keys.keyPem });
    printAs(format, { app: name, cluster: session.cluster, expires: session.expires, ...files }, () =>
      app.protocol === "tcp"
        ? `Logged into TCP app ${name}. Start the local TCP proxy for it:\n\n  tsh proxy app ${name}\n\nThen connect to the application through this proxy.\n`
        : `Logged into app ${name}. Its certificate and key:\n\n  ${files.cert}\n  ${files.key}\n`,
    );
  });
}

export async function listClusters(tsh: Tsh, format: Format): Promise<void> {
  await tsh.withCluster(async (rpc, profile) => {
    const { cluster_name } = await rpc.call("cluster.ping", {});
    const selected = tsh.env.cluster ?? profile.cluster;
    const leaves = await listAll(rpc, "remote_cluster");
    const rows = [
      { cluster_name, status: "online", cluster_type: "root", labels: {} as Record<string, string> },
      ...leaves.map(({ metadata, status }) => ({
        cluster_name: metadata.name,
        status: status?.connection ?? "offline",
        cluster_type: "leaf",
        labels: metadata.labels ?? {},
      })),
    ].map((row) => ({ ...row, selected: row.cluster_name === selected }));
    printAs(format, rows, () =>
      table(
        ["Cluster Name", "Status", "Cluster Type", "Labels", "Selected"],
        rows.map((row) => [
          row.cluster_name,
          row.status,
          row.cluster_type,
          labelsText(row.labels),
          row.selected ? "*" : "",
        ]),
      ),
    );
  });
}

export async function proxyApp(tsh: Tsh, name: string, port: LocalPort, cluster: string | undefined): Promise<void> {
  await tsh.inCluster(cluster, async ({ rpc, profile, sessions }) => {
    const app = await findApp(rpc, name);
    if (app.protocol !== "tcp") {
      throw new UsageError(`app "${name}" is a web app; "tsh proxy app" serves TCP apps only in version ${VERSION}`);
    }
    await using connections = new AppConnections({
      ...{ sessions, log: tsh.log, dialTcp: tsh.dialTcp },
      proxyAddress: profile.proxyAddress,
    });
    const server = forward(connections, app, port.target);
    const stop = interruption();
    const address = await listen(server, port.local);
    const target = port.target === 0 ? name : `${name}:${port.target}`;
    print(`Proxying connections to ${target} on 127.0.0.1:${address}\n`);
    if (port.local === 0) {
      say(`To avoid port randomization, you can choose the listening port using the --port flag.\n`);
    }
    await new Promise((resolve) => stop.addEventListener("abort", resolve, { once: true }));
    server.close();
  });
}

function forward(connections: AppConnections, app: AppRef, targetPort: number): Server {
  return createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
    const gone = new AbortController();
    const onClose = () => gone.abort(new Error("the client went away"));
    socket.once("close", onClose);
    socket.on("error", () => {}); // What matters of it is told by "close".
    connections.dial(app, targetPort, gone.signal).then(
      (stream) => {
        socket.off("close", onClose);
        splice(socketStream(socket), stream, () => {});
      },
      (error: unknown) => {
        if (!gone.signal.aborted) say(`${app.name}: ${messageOf(error)}\n`);
        socket.resetAndDestroy();
      },
    );
  });
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) =>
      reject(
        cause.code === "EADDRINUSE"
          ? new UsageError(`port ${port} is in use on this machine; choose another with --port`, { cause })
          : cause,
      ),
    );
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}
