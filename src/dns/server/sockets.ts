import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { isMalformed } from "../../base/mod.ts";
import { decodeHeader, Flag, OPCODE_QUERY, Rcode, sameQuestion } from "../wire/mod.ts";
import { MAX_MESSAGE_LEN } from "./limits.ts";

export type Transport = "udp" | "tcp";

/** Asks one server; rejects when the signal is aborted or the system says that it cannot be reached. */
export type Ask = (server: string, query: Uint8Array, transport: Transport, signal: AbortSignal) => Promise<Uint8Array>;

/** Asks on `port` over the system's sockets. */
export function askOverSockets(port: number): Ask {
  return (server, query, transport, signal) => {
    const ask = transport === "udp" ? askUdp : askTcp;
    return ask(server, port, query, signal);
  };
}

/**
 * One fresh socket per question: the kernel's random port together with the id
 * makes an answer hard to forge (RFC 5452 §9.2), and a connected socket takes
 * datagrams from the server only and reports its ICMP errors. What is not an
 * answer to this question is ignored; the answer may still come.
 */
function askUdp(server: string, port: number, query: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = createSocket(isIPv6(server) ? "udp6" : "udp4");
    let open = true;
    const finish = (settle: () => void) => {
      if (!open) return;
      open = false;
      signal.removeEventListener("abort", onAbort);
      socket.close();
      settle();
    };
    const onAbort = () => finish(() => reject(signal.reason));
    signal.addEventListener("abort", onAbort);
    socket.on("error", (error) => finish(() => reject(error)));
    socket.on("message", (message) => {
      if (isAnswerTo(query, message)) finish(() => resolve(message));
    });
    // The callback of `connect` is also told of failure, which Node's types do not say.
    socket.connect(port, server, (error?: Error) => {
      if (error) finish(() => reject(error));
      else if (open) socket.send(query);
    });
  });
}

/** One connection per question, with the two-octet length before each message (RFC 1035 §4.2.2). */
function askTcp(server: string, port: number, query: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = connect({ host: server, port });
    let received: Uint8Array = Buffer.alloc(0);
    const finish = (settle: () => void) => {
      signal.removeEventListener("abort", onAbort);
      socket.destroy();
      settle();
    };
    const onAbort = () => finish(() => reject(signal.reason));
    signal.addEventListener("abort", onAbort);
    socket.on("error", (error) => finish(() => reject(error)));
    socket.on("end", () => finish(() => reject(new Error(`${server} closed the connection without an answer`))));
    socket.on("data", (data: Buffer) => {
      received = Buffer.concat([received, data]); // at most one message: `finish` destroys the socket
      const length = received.length < 2 ? MAX_MESSAGE_LEN : (received[0]! << 8) | received[1]!;
      if (received.length < 2 + length) return;
      const message = received.subarray(2, 2 + length);
      if (isAnswerTo(query, message)) finish(() => resolve(message));
      else finish(() => reject(new Error(`${server} answered something else`)));
    });
    socket.write(framed(query));
  });
}

/** The message with its length before it. */
export function framed(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 + message.length);
  out[0] = message.length >> 8;
  out[1] = message.length & 0xff;
  out.set(message, 2);
  return out;
}

/** Does `message` answer `query` (RFC 5452 §9.1)? An error may come without the question. */
export function isAnswerTo(query: Uint8Array, message: Uint8Array): boolean {
  const asked = decodeHeader(query);
  const header = decodeHeader(message);
  if (isMalformed(asked) || isMalformed(header)) return false;
  if (header.id !== asked.id || header.opcode !== asked.opcode || !(header.flags & Flag.QR)) return false;
  if (asked.opcode !== OPCODE_QUERY) return true; // the question section means something else there
  if (header.questions === 0) return header.rcode !== Rcode.NOERROR && header.answers === 0;
  return header.questions === 1 && sameQuestion(query, message);
}
