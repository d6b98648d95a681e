/** The frame that answers a UDP datagram with its own payload; `undefined` for all else. */
export function echoed(frame: Uint8Array): Uint8Array | undefined {
  // Swapping addresses and ports leaves every checksum right, a partial one too.
  if (frame[10]! >> 4 === 4 && frame[19] === 17) return swapped(frame, [22, 26, 4], [30, 32, 2]);
  if (frame[10]! >> 4 === 6 && frame[16] === 17) return swapped(frame, [18, 34, 16], [50, 52, 2]);
  return undefined;
}

function swapped(frame: Uint8Array, ...fields: [a: number, b: number, length: number][]): Uint8Array {
  for (const [a, b, length] of fields) {
    const kept = frame.slice(a, a + length);
    frame.copyWithin(a, b, b + length);
    frame.set(kept, b);
  }
  return frame;
}
