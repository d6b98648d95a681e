/** For tests: `runInNamespace` as `tsh vnet exec` uses it, with a peer that sends UDP datagrams back. */
import { messageOf, OperationError } from "../base/mod.ts";
import { runInNamespace } from "./mod.ts";

try {
  const abortAfterMs = Number(process.env.ABORT_AFTER_MS ?? 0);
  const run = await runInNamespace({
    command: process.argv.slice(2),
    addresses: ["100.64.0.1/32", "fd12:3456:789a:1::1/64"],
    routes: ["100.64.0.0/24"],
    dns: ["100.64.0.2", "fd12:3456:789a:1::2"],
    mtu: 1_500,
    ...(abortAfterMs > 0 && { signal: AbortSignal.timeout(abortAfterMs) }),
  });
  run.tun.start({
    receive(chunk) {
      const frame = chunk.bytes.slice();
      chunk.release();
      // Swapping addresses and ports leaves every checksum right.
      if (frame[10]! >> 4 === 4 && frame[19] === 17) run.tun.write(swapped(frame, [22, 26, 4], [30, 32, 2]));
      if (frame[10]! >> 4 === 6 && frame[16] === 17) run.tun.write(swapped(frame, [18, 34, 16], [50, 52, 2]));
    },
    drained() {},
    failed: (error) => console.error(error.message),
  });
  const { code, signal } = await run.exited;
  run.tun.close();
  if (signal !== null) process.kill(process.pid, signal);
  process.exitCode = code ?? 1;
} catch (error) {
  console.error(`${error instanceof OperationError ? error.code : "bug"}: ${messageOf(error)}`);
  process.exitCode = 99;
}

function swapped(frame: Uint8Array, ...fields: [a: number, b: number, length: number][]): Uint8Array {
  for (const [a, b, length] of fields) {
    const kept = frame.slice(a, a + length);
    frame.copyWithin(a, b, b + length);
    frame.set(kept, b);
  }
  return frame;
}
