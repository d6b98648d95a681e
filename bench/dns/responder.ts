/** A bare Node program: one answer for every query. `responder.ts PORT`; IPC: `"ready"`. */
import { createSocket } from "node:dgram";

const port = Number(process.argv[2]);
const RECORD = Uint8Array.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 10, 0, 4, 100, 64, 9, 9]);
const socket = createSocket("udp4").bind(port, "127.0.0.1", () => process.send!("ready"));
socket.on("message", (query, from) => {
  const reply = Buffer.concat([query, RECORD]);
  reply[2] = 0x85;
  reply[3] = 0x80;
  reply[7] = 1;
  socket.send(reply, from.port, from.address);
});
process.on("disconnect", () => process.exit(0));
