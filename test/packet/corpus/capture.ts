/**
 * Captures what the kernel sends: frames for `mutations` to begin from. Run in
 * a network namespace of its own, `unshare -rn node test/packet/corpus/capture.ts`;
 * stdout is `frames.txt`, one frame in base64 on each line.
 */
import { spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createConnection } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { bulkSocket, bulkStream } from "../bulk-side.ts";
import { kernelRig } from "../kernel-rig.ts";

const LONGEST = 1_600;
const frames = new Set<string>();
for (const offload of [true, false]) {
  const rig = kernelRig({
    subnet: offload ? 0 : 1,
    offload,
    tap: (frame) => frame.length <= LONGEST && frames.add(Buffer.from(frame).toString("base64")),
    handlers: {
      tcp: (attempt) => {
        if (attempt.local.port === 81) attempt.refuse();
        else void bulkStream(attempt.accept(), 3_000, 65_536);
      },
      udp: (datagram) => datagram.local.port === 53,
      echo: () => true,
    },
  });
  for (const address of [rig.far4, rig.far6]) {
    await bulkSocket(createConnection({ host: address, port: 80, allowHalfOpen: true }), 3_000);
    const resetting = createConnection({ host: address, port: 80 });
    await once(resetting, "connect");
    resetting.write("hello");
    await wait(20);
    resetting.resetAndDestroy();
    const refused = createConnection({ host: address, port: 81 });
    await once(refused, "error");
    const udp = createSocket(address.includes(":") ? "udp6" : "udp4");
    udp.connect(53, address);
    await once(udp, "connect");
    udp.send("a datagram");
    udp.send(Buffer.alloc(4_000, "fragmented"));
    await wait(20);
    udp.close();
    // Nobody answers meanwhile; the second comes in fragments.
    for (const size of ["56", "3000"]) spawnSync("ping", ["-c", "1", "-W", "1", "-s", size, address]);
    await wait(20);
  }
  rig.close();
}
for (const frame of frames) console.log(frame);
process.exit(0);
