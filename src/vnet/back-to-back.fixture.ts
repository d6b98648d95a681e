/**
 * Asks for A and AAAA of a name back to back from one socket, as glibc does,
 * COUNT times, and prints how often both answers came.
 *
 *     node back-to-back.fixture.ts SERVER NAME COUNT
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";
import { encode } from "dns-packet";

const [server = "", name = "", count = "0"] = process.argv.slice(2);
let both = 0;
for (let i = 0; i < Number(count); i++) both += (await ask(2 * i)) ? 1 : 0;
console.log(both);

/** With a fresh socket, as each lookup has. */
async function ask(id: number): Promise<boolean> {
  const socket = createSocket(isIPv6(server) ? "udp6" : "udp4");
  socket.connect(53, server);
  await once(socket, "connect");
  const waiting = new Set([id, id + 1]);
  const answered = new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), 1_000);
    socket.on("message", (message) => {
      waiting.delete(message.readUInt16BE(0));
      if (waiting.size > 0) return;
      clearTimeout(timer);
      resolve(true);
    });
  });
  socket.send(encode({ type: "query", id, questions: [{ name, type: "A" }] }));
  socket.send(encode({ type: "query", id: id + 1, questions: [{ name, type: "AAAA" }] }));
  const result = await answered;
  socket.close();
  return result;
}
