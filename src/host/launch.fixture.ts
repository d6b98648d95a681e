/** For tests: the launcher (`launcher [exit code]`), and a trivial user process that sends UDP datagrams back. */
import { fileURLToPath } from "node:url";
import { createLogger, messageOf } from "../base/mod.ts";
import type { WantedState } from "../oscfg/mod.ts";
import { attachLauncher, launch } from "./mod.ts";
import { echoed } from "./udp-echo.fixture.ts";

const STATE: WantedState = {
  version: 1,
  mtu: 1_500,
  addresses: ["100.64.0.1/32", "fd12:3456:789a:1::1/64"],
  ranges: ["100.64.0.0/24", "fd12:3456:789a:1::/64"],
  dns: ["100.64.0.2", "fd12:3456:789a:1::2"],
  zones: ["company.test"],
  proxies: ["198.51.100.20"],
};

const [role] = process.argv.slice(2);
if (role === "launcher") await launcher();
else await userProcess();

async function launcher(): Promise<void> {
  try {
    process.exitCode = await launch({
      command: [process.execPath, "--disable-warning=ExperimentalWarning", fileURLToPath(import.meta.url), "user"],
      env: process.env,
      allUsers: process.env.ALL_USERS === "1",
      log: createLogger({ level: "info", format: "text" }),
    });
  } catch (error) {
    console.log(`refused: ${messageOf(error)}`);
    process.exitCode = 99;
  }
}

async function userProcess(): Promise<void> {
  const launcher = attachLauncher({ mtu: STATE.mtu });
  launcher.closed.addEventListener("abort", () => {
    launcher.tun.close();
    process.exitCode = 6;
  });
  launcher.tun.start({
    receive(chunk) {
      const answer = echoed(chunk.bytes.slice());
      chunk.release();
      if (answer) launcher.tun.write(answer);
    },
    drained() {},
    failed: () => process.exit(8),
  });
  try {
    // A range that must not be taken; the user process carries on after a refusal.
    await launcher.apply({ ...STATE, ranges: [...STATE.ranges, "192.168.0.0/16"] });
  } catch (error) {
    console.log(`refused: ${messageOf(error)}`);
  }
  await launcher.apply(STATE);
  const { dns, upstreams, taken } = await launcher.report();
  console.log(
    `by ${dns.manager}, upstreams ${upstreams.join(",")}, taken ${taken.map(({ range }) => range).join(",")}`,
  );
  console.log(`ready ${process.pid}`);
}
