import type { AppSession, HostCredentials } from "../../src/tunnel/mod.ts";

/** The ways of the same octets that are compared. */
export const SHAPES = ["link", "tls", "raw"] as const;
/**
 * link: streams on our link, through a blind relay. tls: one TLS connection for
 * each stream from client to agent, through a blind relay, the usual shape.
 * raw: three plain pipes, unencrypted.
 */
export type Shape = (typeof SHAPES)[number];

/** Port numbers of one process, by shape. */
export type Ports = Record<Shape, number>;

/** What a process of the path is told at its start. */
export interface ProxyStart {
  credentials: HostCredentials;
  session: AppSession;
}
export interface AgentStart {
  credentials: HostCredentials;
  userCas: string[];
  proxy: Ports;
  appPort: number;
}
export interface ClientStart {
  session: AppSession;
  proxy: Ports;
}

/** A process of the path: it is told once what to do and says when it is ready. */
export function serve<Start>(run: (start: Start) => Promise<Ports>): void {
  process.once("message", (start: Start) => {
    void run(start).then((ports) => process.send?.(ports));
  });
  process.once("disconnect", () => process.exit());
}
