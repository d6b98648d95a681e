import type { Chunk } from "../../base/mod.ts";

/** The part `[from, to)` of a chunk, in its place. */
export function narrow(chunk: Chunk, from: number, to: number): Chunk {
  if (from === 0 && to === chunk.bytes.length) return chunk;
  return { bytes: chunk.bytes.subarray(from, to), release: () => chunk.release() };
}

/** Both parts of a chunk; its memory goes back when both are released. */
export function split(chunk: Chunk, at: number): [Chunk, Chunk] {
  let held = 2;
  const release = () => {
    if (--held === 0) chunk.release();
  };
  return [
    { bytes: chunk.bytes.subarray(0, at), release },
    { bytes: chunk.bytes.subarray(at), release },
  ];
}
