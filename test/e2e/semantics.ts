/**
 * The client's half of `semantics.test.ts`, run where VNet is:
 *   semantics.ts CASE HOST PORT
 * Prints what it has seen as one line of JSON.
 */
import { createHash } from "node:crypto";
import { connect } from "node:net";

export interface Seen {
  /** "end", or the error's code. */
  readonly how: string;
  readonly octets: number;
  /** SHA-256 of them. */
  readonly hash: string;
}

/** Octets of the long ways. */
export const OCTETS = 16 * 1024 * 1024;

/** The octets that both sides send where much is sent. */
export function pieces(): Buffer[] {
  const piece = Buffer.from(Uint8Array.from({ length: 65_536 }, (_, i) => (i * 31 + (i >> 8)) & 255));
  return Array.from({ length: OCTETS / piece.length }, () => piece);
}

if (import.meta.main) {
  const [what = "", host = "", port = ""] = process.argv.slice(2);
  console.log(JSON.stringify(await act(what, host, Number(port))));
  // VNet ends with this program: it stays until the other side has seen what it has to see.
  process.stdin.resume().on("end", () => process.exit());
}

function act(what: string, host: string, port: number): Promise<Seen> {
  const hash = createHash("sha256");
  let octets = 0;
  return new Promise((resolve) => {
    const socket = connect({ host, port, allowHalfOpen: true, autoSelectFamily: false });
    const over = (how: string) => resolve({ how, octets, hash: hash.digest("hex") });
    socket.on("data", (bytes: Buffer) => {
      octets += bytes.length;
      hash.update(bytes);
      if (what === "client-reset") {
        socket.resetAndDestroy();
        over("reset by us");
      }
    });
    socket.on("error", (error: NodeJS.ErrnoException) => over(error.code ?? error.message));
    socket.on("end", () => {
      if (what !== "app-ends-first") return over("end");
      // The app is done talking, and still listens.
      for (const piece of pieces()) socket.write(piece);
      socket.end(() => over("end"));
    });
    socket.on("connect", () => {
      if (what === "client-ends-first") {
        for (const piece of pieces()) socket.write(piece);
        socket.end();
      }
    });
  });
}
