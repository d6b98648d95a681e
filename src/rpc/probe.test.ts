import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { PING_INTERVAL_MS, PING_TIMEOUT_MS } from "./limits.ts";
import { type Probed, probe } from "./probe.ts";

/** As `node:http2` has it: a session that is destroyed says so in a later turn, and `ping` throws until then. */
class Session extends EventEmitter {
  destroyed = false;
  pings = 0;
  answers = true;

  ping(answered: () => void): boolean {
    if (this.destroyed) throw new Error("The session has been destroyed");
    this.pings++;
    if (this.answers) answered();
    return true;
  }

  destroy(): void {
    this.destroyed = true;
  }
}

test("a session is asked for a sign of life, and given up without one", (t) => {
  t.mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  const session = new Session();
  probe(session as unknown as Probed);
  t.mock.timers.tick(3 * PING_INTERVAL_MS);
  assert.deepEqual([session.pings, session.destroyed], [3, false]);
  session.answers = false;
  t.mock.timers.tick(PING_INTERVAL_MS);
  t.mock.timers.tick(PING_TIMEOUT_MS);
  assert.deepEqual([session.pings, session.destroyed], [4, true]);
});

test("one that was destroyed and has not closed yet is left alone", (t) => {
  t.mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  const session = new Session();
  probe(session as unknown as Probed);
  session.destroy();
  t.mock.timers.tick(PING_INTERVAL_MS);
  assert.equal(session.pings, 0);
  session.emit("close");
  t.mock.timers.tick(10 * PING_INTERVAL_MS);
  assert.equal(session.pings, 0);
});
