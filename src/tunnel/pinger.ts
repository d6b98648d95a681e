import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type ByteStream, plainChunk, sleep } from "../base/mod.ts";

const KIB = 1024;

/** For tests, against an echo: sends and compares a little at a time until told to stop, then all that is left. */
export class Pinger {
  readonly over: Promise<string>;
  rounds = 0;
  #stopping = false;
  #expected = Buffer.alloc(0);
  readonly #stream: ByteStream;

  constructor(stream: ByteStream) {
    this.#stream = stream;
    const over = Promise.withResolvers<string>();
    this.over = over.promise;
    stream.open({
      data: (chunk) => {
        const { length } = chunk.bytes;
        if (!this.#expected.subarray(0, length).equals(chunk.bytes)) over.resolve("wrong octets");
        this.#expected = this.#expected.subarray(length);
        stream.credit(length);
        chunk.release();
        if (this.#expected.length > 0) return;
        this.rounds++;
        if (this.#stopping) stream.end();
        else this.#send();
      },
      end: () => over.resolve("end"),
      reset: (reason) => over.resolve(reason),
      writable: () => this.rounds === 0 && this.#expected.length === 0 && this.#send(),
    });
    stream.credit(64 * KIB);
  }

  /** Octets have come back after this was called. */
  async moves(): Promise<void> {
    const before = this.rounds;
    const deadline = performance.now() + 8_000;
    while (this.rounds <= before + 1) {
      assert.ok(performance.now() < deadline, "nothing comes back");
      await sleep(10);
    }
  }

  stop(): Promise<string> {
    this.#stopping = true;
    return this.over;
  }

  #send(): void {
    const bytes = randomBytes(8 * KIB);
    this.#expected = bytes;
    this.#stream.write(plainChunk(bytes));
  }
}

/** How `count` streams of the link end, which move before their proxy drops its connections, and afterwards. */
export async function endsAfterLoss(
  app: { readonly link: { open(port: number): Promise<ByteStream> } },
  proxy: { dropConnections(): void },
  count: number,
): Promise<string[]> {
  const streams = await Promise.all(Array.from({ length: count }, async () => new Pinger(await app.link.open(1))));
  await Promise.all(streams.map((stream) => stream.moves()));
  proxy.dropConnections();
  await Promise.all(streams.map((stream) => stream.moves()));
  return Promise.all(streams.map((stream) => stream.stop()));
}
