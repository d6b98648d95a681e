import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { AddressLimiter } from "./address-limiter.ts";
import { dialAppLink } from "./dial-app-link.ts";
import { MAX_UNVERIFIED } from "./limits.ts";
import { clientTools, TestProxy } from "./path-harness.ts";

test("when all places are taken, the oldest of the largest network gives way", () => {
  const limiter = new AddressLimiter();
  const evicted: string[] = [];
  let taken = 0;
  const enter = (address: string) => limiter.enter(address, () => evicted.push(`${address} ${taken}`)) && taken++;
  for (let i = 0; i < MAX_UNVERIFIED - 3; i++) enter(`10.0.${i >> 8}.${i & 255}`);
  for (let i = 0; i < 3; i++) enter("192.0.2.1");
  assert.equal(evicted.length, 0);
  assert.ok(enter("198.51.100.1") !== undefined);
  assert.ok(enter("198.51.100.2") !== undefined);
  assert.deepEqual(
    evicted.map((text) => text.split(" ")[0]),
    ["192.0.2.1", "192.0.2.1"],
  );
  assert.ok(enter("198.51.100.3") !== undefined, "then the oldest of all");
  assert.equal(evicted.at(-1)?.split(" ")[0], "10.0.0.0");
});

const SLOW = 10_000;

test(`${SLOW} slow handshakes from many addresses, while clients come and go`, async (t) => {
  await using proxy = await TestProxy.start();
  await proxy.addAgent("agent-1");
  const session = await proxy.session();
  const attack = new Attack(proxy.port);
  const waits: number[] = [];
  for (let wave = 0; wave < 20; wave++) {
    attack.more(SLOW / 20);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const started = performance.now();
    const fresh = wave % 5 === 0 ? await proxy.session() : session;
    const { link } = await dialAppLink({ ...clientTools(), session: fresh, proxies: [proxy.address] });
    await link.open(1);
    waits.push(performance.now() - started);
    link.close("done");
  }
  const evicted = proxy.counters.get("dispatch.evicted");
  t.diagnostic(`links after ${Math.round(Math.max(...waits))} ms at most; ${evicted} slow ones gave way`);
  assert.equal(attack.connected + attack.failed, SLOW);
  assert.ok(evicted > SLOW / 2, `${evicted} gave way`);
  assert.ok(Math.max(...waits) < 5_000);
  attack.end();
});

/** Connections that send the beginning of a ClientHello, an octet now and then. */
class Attack {
  connected = 0;
  failed = 0;
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  #count = 0;

  constructor(port: number) {
    this.#port = port;
  }

  more(count: number): void {
    for (const socket of this.#sockets) socket.write(Buffer.of(0));
    for (let i = 0; i < count; i++) {
      // Ten of each address: within the share.
      const address = Math.floor(this.#count++ / 10);
      const localAddress = `127.9.${address >> 8}.${address & 255}`;
      const socket = connect({ port: this.#port, host: "127.0.0.1", localAddress });
      this.#sockets.add(socket);
      let counted = false;
      socket.on("connect", () => {
        counted = true;
        this.connected++;
        socket.write(Buffer.of(22, 3, 1, 2, 0, 1, 0));
      });
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        if (!counted) this.failed++;
      });
    }
  }

  end(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
