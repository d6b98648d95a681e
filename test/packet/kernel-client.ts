/**
 * A client on the kernel's TCP, for `kernel.test.ts`: `kernel-client.ts MODE
 * ADDRESS PORT [OCTETS]`. What happened is one line of JSON on stdout.
 */
import { createHash, randomFillSync } from "node:crypto";
import { once } from "node:events";
import { createConnection } from "node:net";
import { setTimeout as wait } from "node:timers/promises";

const [mode, host, port, octets = "0"] = process.argv.slice(2);

async function main(): Promise<object> {
  const started = performance.now();
  const socket = createConnection({ host: host!, port: Number(port), allowHalfOpen: true });
  try {
    await once(socket, "connect");
  } catch (error) {
    return { connect: (error as NodeJS.ErrnoException).code, ms: performance.now() - started };
  }
  const failed = new Promise<string>((resolve) => {
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "?"));
    socket.on("close", (hadError) => !hadError && resolve("end"));
  });
  if (mode === "reset") {
    socket.write("x");
    await once(socket, "data");
    socket.resetAndDestroy();
    return {};
  }
  const received = createHash("sha256");
  let receivedLen = 0;
  const read = () =>
    socket.on("data", (chunk) => {
      received.update(chunk);
      receivedLen += chunk.length;
    });
  if (mode === "slow") {
    await wait(600);
    socket.end();
    read();
    const closed = await failed;
    return { closed, received: received.digest("hex"), receivedLen };
  }
  read();
  const sent = createHash("sha256");
  const block = new Uint8Array(256 * 1024);
  for (let left = Number(octets); left > 0; left -= block.length) {
    randomFillSync(block);
    const part = Buffer.from(block.subarray(0, Math.min(left, block.length)));
    sent.update(part);
    if (!socket.write(part)) await Promise.race([once(socket, "drain"), failed]);
  }
  socket.end();
  const closed = await failed;
  return {
    closed,
    sent: sent.digest("hex"),
    received: received.digest("hex"),
    receivedLen,
    ms: performance.now() - started,
  };
}

process.stdout.write(`${JSON.stringify(await main())}\n`);
process.exit(0);
