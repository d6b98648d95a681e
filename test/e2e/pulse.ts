/**
 * One connection to an echo that lives through whatever the test does:
 *
 *     node pulse.ts HOST PORT
 *
 * Each line of standard input sends 64 KiB of chance and prints `pulse N` when they are back. At its end the
 * connection ends in order, and `whole` is printed if all that came back is what was sent. Errors print their code.
 */
import { createHash, randomBytes } from "node:crypto";
import { connect } from "node:net";
import { createInterface } from "node:readline";

const PIECE = 64 * 1024;

/** The command for `tsh vnet exec --`. */
export function pulseTo(host: string, port: number): string[] {
  return [process.execPath, "--disable-warning=ExperimentalWarning", import.meta.filename, host, String(port)];
}

if (import.meta.main) serve(process.argv[2] ?? "", Number(process.argv[3]));

function serve(host: string, port: number): void {
  const [sent, received] = [createHash("sha256"), createHash("sha256")];
  let [pulses, octets] = [0, 0];
  const say = (line: string) => process.stdout.write(`${line}\n`);
  const socket = connect({ host, port, autoSelectFamily: false });
  socket.on("data", (bytes) => {
    received.update(bytes);
    const before = octets;
    octets += bytes.length;
    if (Math.floor(before / PIECE) < Math.floor(octets / PIECE)) say(`pulse ${++pulses}`);
  });
  socket.on("error", (error: NodeJS.ErrnoException) => say(error.code ?? error.message));
  socket.on("end", () => say(sent.digest("hex") === received.digest("hex") ? "whole" : "broken"));
  const input = createInterface({ input: process.stdin });
  input.on("line", () => {
    const piece = randomBytes(PIECE);
    sent.update(piece);
    socket.write(piece);
  });
  input.on("close", () => socket.end());
}
