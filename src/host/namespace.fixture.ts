/** For tests: `runInNamespace` as `tsh vnet exec` uses it, with a peer that sends UDP datagrams back. */
import { messageOf, OperationError } from "../base/mod.ts";
import { runInNamespace } from "./mod.ts";
import { echoed } from "./udp-echo.fixture.ts";

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
      const answer = echoed(chunk.bytes.slice());
      chunk.release();
      if (answer) run.tun.write(answer);
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
