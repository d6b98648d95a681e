import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../tcp/mod.ts";
import { SENDERS_MS } from "./limits.ts";
import { SendShare } from "./send-share.ts";

const senders = (count: number) => Array.from({ length: count }, () => ({ period: 0 }));

test("a lone connection has all that one may have, many have equal shares, down to the least", () => {
  for (const [count, octets] of [
    [0, limits.SEND_BUFFER],
    [1, limits.SEND_BUFFER],
    [16, limits.SEND_BUFFERS / 16],
    [1_000, limits.SEND_BUFFER_MIN],
  ] as const) {
    const share = new SendShare();
    for (const sender of senders(count)) for (let i = 0; i < 3; i++) share.wrote(sender, SENDERS_MS);
    assert.equal(share.octets, octets, `${count} connections`);
  }
});

test("who has stopped writing is forgotten after two periods", () => {
  const share = new SendShare();
  const [last, ...others] = senders(16);
  for (const sender of [last!, ...others]) share.wrote(sender, 10 * SENDERS_MS);
  share.wrote(last!, 11 * SENDERS_MS);
  assert.equal(share.octets, limits.SEND_BUFFERS / 16);
  share.wrote(last!, 12 * SENDERS_MS);
  assert.equal(share.octets, limits.SEND_BUFFER);
  for (const sender of others) share.wrote(sender, 12 * SENDERS_MS);
  share.wrote(last!, 20 * SENDERS_MS);
  assert.equal(share.octets, limits.SEND_BUFFER, "a pause");
});
