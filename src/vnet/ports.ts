import type { AppView } from "./directory.ts";
import { MAX_LISTED_PORTS } from "./limits.ts";

/** May a client connect to this port of the app? Without `tcp_ports` any port leads to its one target. */
export function offersPort(app: AppView, port: number): boolean {
  return (
    app.tcpPorts.length === 0 ||
    app.tcpPorts.some((range) => port >= range.port && port <= (range.endPort ?? range.port))
  );
}

/** The app's ports for a log line: `1337, 4000-4010`. */
export function describePorts(app: AppView): string {
  const listed = app.tcpPorts.slice(0, MAX_LISTED_PORTS);
  const text = listed.map(({ port, endPort }) => (endPort === undefined ? `${port}` : `${port}-${endPort}`)).join(", ");
  return app.tcpPorts.length > listed.length ? `${text}, …` : text;
}
