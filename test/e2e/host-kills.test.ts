/** kill -9 at random moments; `npm run proof -- kills` does fifty, this as many as there is time for. */
import assert from "node:assert/strict";
import test from "node:test";
import { needs } from "../../src/testkit/mod.ts";
import { killAtRandom } from "./host-kills.ts";
import { HOST_NEEDS } from "./host-vnet.ts";

const BUDGET_MS = 10_000;

test(
  "after kill -9 at random moments the host is as before, or VNet goes on",
  needs(...HOST_NEEDS, "resolved", "dbus-daemon"),
  async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    t.diagnostic(`seed ${seed}`);
    const tell = (kill: object) => t.diagnostic(JSON.stringify(kill));
    const kills = await killAtRandom({ seed, count: 50, budgetMs: BUDGET_MS, tell });
    assert.ok(kills.length > 0);
  },
);
