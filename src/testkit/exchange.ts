import { type ByteStream, plainChunk, type ResetReason } from "../base/mod.ts";

const WINDOW = 256 * 1024; // octets of credit kept outstanding

/**
 * Writes all of `data` as the stream allows, half-closes, and resolves with
 * what came back when the far side has ended too. Rejects on a reset, whose
 * reason is the error's message.
 */
export function exchange(stream: ByteStream, data: Uint8Array): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const parts: Uint8Array[] = [];
  let written = 0;
  stream.open({
    data(chunk) {
      const { length } = chunk.bytes;
      parts.push(Uint8Array.from(chunk.bytes));
      chunk.release();
      stream.credit(length);
    },
    end: () => resolve(Buffer.concat(parts)),
    reset: (reason) => reject(new Error(reason)),
    writable(octets) {
      const part = data.subarray(written, written + octets);
      written += part.length;
      if (part.length > 0) stream.write(plainChunk(part));
      if (written === data.length && (part.length > 0 || data.length === 0)) stream.end();
    },
  });
  stream.credit(WINDOW);
  return promise;
}

/** Opens the stream without writing; resolves with the reason when it is reset, "end" when it ends in order. */
export function ended(stream: ByteStream): Promise<ResetReason | "end"> {
  const { promise, resolve } = Promise.withResolvers<ResetReason | "end">();
  stream.open({
    data: (chunk) => chunk.release(),
    end: () => resolve("end"),
    reset: resolve,
    writable: () => {},
  });
  stream.credit(WINDOW);
  return promise;
}
