import { isIP, type Socket } from "node:net";
import tls from "node:tls";
import { isMalformed, messageOf } from "../base/mod.ts";
import { type ConnectAnswer, parseConnectAnswer } from "./connect-answer.ts";
import type { ConnectProxy } from "./connect-proxy.ts";
import { type DialTcp, dialDirect, type Target } from "./direct.ts";
import { ConnectProxyError } from "./errors.ts";
import { CONNECT_ANSWER_MS } from "./limits.ts";

/**
 * Dials through `proxy`, what it exempts directly. `roots` (PEM) vouch for a
 * proxy that speaks TLS. Rejects with ConnectProxyError, which says what to do.
 */
export function through(proxy: ConnectProxy, roots: () => string[]): DialTcp {
  return async (target, signal) => {
    // It goes into a line of a request.
    if (!/^[\x21-\x7e]+$/.test(target.host))
      throw new ConnectProxyError("the address of the cluster's proxy is not one");
    if (proxy.exempt(target)) return dialDirect(target, signal);
    const bound = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_ANSWER_MS)]);
    const socket = await reach(proxy, roots, target, bound, signal);
    try {
      const answer = await ask(socket, requestOf(proxy, target), bound);
      if (answer.status >= 200 && answer.status < 300) return socket;
      throw new ConnectProxyError(refusalOf(proxy, target, answer.status));
    } catch (error) {
      socket.destroy();
      signal.throwIfAborted();
      if (error instanceof ConnectProxyError) throw error;
      const why = bound.aborted ? `no answer within ${CONNECT_ANSWER_MS / 1000} s` : messageOf(error);
      throw new ConnectProxyError(`${nameOf(proxy)} did not connect to ${addressOf(target)}: ${why}`, { cause: error });
    }
  };
}

/** A connection to the HTTP proxy itself. */
async function reach(
  { host, port, secure, ...proxy }: ConnectProxy,
  roots: () => string[],
  { allowHalfOpen = false }: Target,
  bound: AbortSignal,
  signal: AbortSignal,
): Promise<Socket> {
  try {
    const raw = await dialDirect({ host, port, allowHalfOpen }, bound);
    return secure ? await secured(raw, { host, ca: roots() }, bound) : raw;
  } catch (error) {
    signal.throwIfAborted();
    const why = bound.aborted ? `no answer within ${CONNECT_ANSWER_MS / 1000} s` : messageOf(error);
    throw new ConnectProxyError(
      `${nameOf({ host, port, secure, ...proxy })} cannot be reached: ${why}; correct HTTPS_PROXY, or name the cluster's proxy in NO_PROXY where it can be reached without`,
      { cause: error },
    );
  }
}

function secured(raw: Socket, o: { host: string; ca: string[] }, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      socket: raw,
      ...(isIP(o.host) === 0 ? { servername: o.host } : { host: o.host }),
      ca: o.ca,
      ALPNProtocols: ["http/1.1"],
    });
    const fail = (error: unknown) => {
      signal.removeEventListener("abort", onAbort);
      socket.destroy();
      reject(error);
    };
    const onAbort = () => fail(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    socket.on("error", fail); // Also for what comes before there is an owner.
    socket.once("close", () => fail(new Error("it closed the connection")));
    socket.once("secureConnect", () => {
      signal.removeEventListener("abort", onAbort);
      resolve(socket);
    });
  });
}

/** Sends the request and reads the answer's header, and no octet more: those are the target's. */
function ask(socket: Socket, request: string, signal: AbortSignal): Promise<ConnectAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<ConnectAnswer>();
  let heard = Buffer.alloc(0);
  const onReadable = () => {
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
      heard = Buffer.concat([heard, chunk]);
      const answer = parseConnectAnswer(heard);
      if (answer === undefined) continue;
      if (isMalformed(answer)) return reject(new Error(`its answer is not HTTP (${answer.malformed})`));
      settle();
      if (heard.length > answer.length) socket.unshift(heard.subarray(answer.length));
      return resolve(answer);
    }
  };
  const onEnd = () => reject(new Error("it closed the connection"));
  const onAbort = () => reject(signal.reason);
  const settle = () => {
    socket.removeListener("readable", onReadable);
    socket.removeListener("error", reject);
    socket.removeListener("end", onEnd);
    socket.removeListener("close", onEnd);
    signal.removeEventListener("abort", onAbort);
  };
  socket.on("readable", onReadable);
  socket.once("error", reject);
  socket.once("end", onEnd);
  socket.once("close", onEnd);
  signal.addEventListener("abort", onAbort, { once: true });
  socket.write(request);
  return promise.finally(settle);
}

function requestOf({ authorization }: ConnectProxy, target: Target): string {
  const address = addressOf(target);
  const lines = [`CONNECT ${address} HTTP/1.1`, `Host: ${address}`];
  if (authorization !== undefined) lines.push(`Proxy-Authorization: ${authorization}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function refusalOf(proxy: ConnectProxy, target: Target, status: number): string {
  const said = `${nameOf(proxy)} refused to connect to ${addressOf(target)} (status ${status})`;
  switch (status) {
    case 407:
      return `${said}: it wants a user name and a password; set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT`;
    case 502:
    case 503:
    case 504:
      return `${said}: it cannot reach that itself; check the address of the cluster's proxy`;
    default:
      return `${said}: ask its administrator to allow CONNECT to that port, or name the host in NO_PROXY where it can be reached without`;
  }
}

function nameOf({ host, port, secure }: Pick<ConnectProxy, "host" | "port" | "secure">): string {
  return `the HTTP proxy ${secure ? "https" : "http"}://${addressOf({ host, port })} of HTTPS_PROXY`;
}

function addressOf({ host, port }: Target): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
