import type { Socket } from "node:net";
import * as tls from "node:tls";
import type { DialTcp } from "../dial/mod.ts";
import { TLS_DEFAULTS } from "../pki/mod.ts";
import { serverNameOf, splitAddress } from "./address.ts";

export interface ServeTls {
  certPem: string;
  keyPem: string;
  /** The authorities of acceptable clients. */
  clientCas: readonly string[];
  timeoutMs: number;
  /** The protocol to take of those offered; `undefined` refuses. */
  chooseAlpn(protocols: readonly string[]): string | undefined;
}

/**
 * The server's end of mutual TLS on an accepted socket, which is paused.
 *
 * A server of its own for each connection: credentials are always the present
 * ones, and what `chooseAlpn` saw belongs to this handshake. Through `emit`,
 * since `new TLSSocket(…, { isServer: true })` lets unverified clients in.
 */
export function serveTls(socket: Socket, o: ServeTls): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const server = tls.createServer({
      ...TLS_DEFAULTS,
      cert: o.certPem,
      key: o.keyPem,
      ca: [...o.clientCas],
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: o.timeoutMs,
      ALPNCallback: ({ protocols }) => o.chooseAlpn(protocols),
    });
    server.once("secureConnection", (secure) => {
      secure.on("error", () => {});
      if (secure.authorized) resolve(secure);
      else reject(new Error("the client's certificate was not verified"));
    });
    server.once("tlsClientError", (error, failed) => {
      failed.destroy();
      reject(error);
    });
    socket.once("close", () => reject(new Error("the connection was closed during the handshake")));
    server.emit("connection", socket);
  });
}

export interface ConnectTls {
  /** `host:port`. */
  address: string;
  alpn: string[];
  certPem: string;
  keyPem: string;
  /** The authorities of acceptable servers; never the system's. */
  serverCas: readonly string[];
  checkServerIdentity: NonNullable<tls.ConnectionOptions["checkServerIdentity"]>;
  /** The way there, where it is not straight. */
  dialTcp?: DialTcp | undefined;
  /** For TCP and TLS together. */
  timeoutMs: number;
  signal: AbortSignal;
}

/** The client's end of mutual TLS. Rejects with Node's error, or the signal's reason. */
export async function connectTls(o: ConnectTls): Promise<tls.TLSSocket> {
  o.signal.throwIfAborted();
  if (o.dialTcp === undefined) return handshake(o, o.timeoutMs, undefined);
  const startedAt = performance.now();
  const bound = AbortSignal.any([o.signal, AbortSignal.timeout(o.timeoutMs)]);
  const raw = await o.dialTcp(splitAddress(o.address), bound);
  return handshake(o, o.timeoutMs - (performance.now() - startedAt), raw);
}

/** `raw`: connected already. */
function handshake(o: ConnectTls, timeoutMs: number, raw: Socket | undefined): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const { host, port } = splitAddress(o.address);
    const socket = tls.connect({
      ...TLS_DEFAULTS,
      ...serverNameOf(host),
      ...(raw ? { socket: raw, host } : { host, port }),
      ALPNProtocols: o.alpn,
      cert: o.certPem,
      key: o.keyPem,
      ca: [...o.serverCas],
      checkServerIdentity: o.checkServerIdentity,
    });
    const fail = (error: unknown) => {
      clearTimeout(timer);
      o.signal.removeEventListener("abort", onAbort);
      socket.destroy();
      reject(error);
    };
    const onAbort = () => fail(o.signal.reason);
    const timer = setTimeout(() => fail(new Error(`no answer within ${o.timeoutMs} ms`)), timeoutMs);
    o.signal.addEventListener("abort", onAbort);
    socket.on("error", fail); // Also keeps a later error from being thrown before there is an owner.
    socket.once("close", () => fail(new Error("the connection was closed during the handshake")));
    socket.once("secureConnect", () => {
      clearTimeout(timer);
      o.signal.removeEventListener("abort", onAbort);
      if (socket.authorized && socket.alpnProtocol === o.alpn[0]) resolve(socket);
      else fail(socket.authorizationError ?? new Error("the server did not take the protocol"));
    });
  });
}
