import { type Clock, formatIp, isMalformed, type Random } from "../../base/mod.ts";
import { addressesIn, decodeHeader, encodeHost, encodeQuery, type Header, Rcode, Type } from "../wire/mod.ts";
import type { Transport } from "./asking.ts";
import { askerOverSockets } from "./sockets.ts";

export interface LookupOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly timeoutMs: number;
  readonly port?: number;
}

/** Asks one server for the addresses of a host name; rejects with what a person can read. */
export async function lookupAt(
  server: string,
  host: string,
  family: 4 | 6,
  transport: Transport,
  { clock, random, timeoutMs, port = 53 }: LookupOptions,
): Promise<string[]> {
  const name = encodeHost(host);
  if (isMalformed(name)) throw new Error(`${host} is not a host name`);
  const [high = 0, low = 0] = random(2);
  const query = encodeQuery((high << 8) | low, name, family === 4 ? Type.A : Type.AAAA);
  const asker = askerOverSockets(port, clock);
  try {
    const answer = await new Promise<Uint8Array>((resolve, reject) => {
      const timer = clock.after(timeoutMs, () => {
        asked.cancel();
        reject(new Error(`no answer within ${timeoutMs / 1000} s`));
      });
      const asked = asker.ask(server, query, transport, (result) => {
        timer.cancel();
        if (result instanceof Error) reject(result);
        else resolve(result);
      });
    });
    const { rcode } = decodeHeader(answer) as Header; // `isAnswerTo` has seen a whole one
    if (rcode !== Rcode.NOERROR && rcode !== Rcode.NXDOMAIN) throw new Error(`answered with the error code ${rcode}`);
    const found = addressesIn(answer);
    if (isMalformed(found)) throw new Error(`answered with a damaged message (${found.malformed})`);
    return found.map(formatIp);
  } finally {
    asker.close();
  }
}
