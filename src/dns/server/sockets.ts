import { connect } from "node:net";
import type { Clock } from "../../base/mod.ts";
import { type Asked, type Asker, type Done, framed, isAnswerTo } from "./asking.ts";
import { MAX_MESSAGE_LEN } from "./limits.ts";
import { UdpSockets } from "./udp-sockets.ts";

/** Asks on `port` over the system's sockets. */
export function askerOverSockets(port: number, clock: Clock): Asker {
  const udp = new UdpSockets(port, clock);
  return {
    ask: (server, query, transport, done) =>
      transport === "udp" ? udp.ask(server, query, done) : askTcp(server, port, query, done),
    close: () => udp.close(),
  };
}

/** One connection per question, with the two-octet length before each message (RFC 1035 §4.2.2). */
function askTcp(server: string, port: number, query: Uint8Array, done: Done): Asked {
  const socket = connect({ host: server, port });
  let received: Uint8Array = Buffer.alloc(0);
  let open = true;
  const cancel = () => {
    open = false;
    socket.destroy();
  };
  const finish = (result: Uint8Array | Error) => {
    if (!open) return;
    cancel();
    done(result);
  };
  socket.on("error", finish);
  socket.on("end", () => finish(new Error(`${server} closed the connection without an answer`)));
  socket.on("data", (data: Buffer) => {
    received = Buffer.concat([received, data]); // at most one message: `finish` destroys the socket
    const length = received.length < 2 ? MAX_MESSAGE_LEN : (received[0]! << 8) | received[1]!;
    if (received.length < 2 + length) return;
    const message = received.subarray(2, 2 + length);
    finish(isAnswerTo(query, message) ? message : new Error(`${server} answered something else`));
  });
  socket.write(framed(query));
  return { cancel };
}
