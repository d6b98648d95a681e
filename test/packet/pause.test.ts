import assert from "node:assert/strict";
import { test } from "node:test";
import { DecisionLog, fate } from "./decision-log.ts";
import { type Explanation, explain } from "./pause.ts";
import { Rig } from "./rig.ts";

const rig = new Rig();
rig.iss = 0;
/** The kernel's text towards the stack, and the stack's answers. */
const frames = {
  before: rig.frame({ flags: "A", seq: 4901, ack: 1, text: "x".repeat(100) }),
  text: rig.frame({ flags: "A", seq: 5001, ack: 1, text: "abc" }),
  /** Before it, and received. */
  asking: rig.frame({ flags: "A", seq: 900, ack: 5001 }),
  taking: rig.frame({ flags: "A", seq: 900, ack: 5004 }),
};

type Event = [atMs: number, kind: keyof typeof frames, what?: number];

/** The pause lasts from 0 to `endMs`; the log is these events. */
function told(endMs: number, ...events: Event[]): Explanation {
  let now = -10;
  const log = new DecisionLog(() => now);
  log.add("in", frames.before, 0);
  log.add("out", frames.asking, 0);
  for (const [atMs, kind, what = 0] of events) {
    now = atMs;
    log.add(kind === "text" || kind === "before" ? "in" : "out", frames[kind], what);
  }
  return explain(log, { direction: "in", startMs: 0, endMs });
}

function assertDoubt(got: Explanation, doubt: RegExp): void {
  assert.equal(got.explained, false, got.text);
  assert.match(got.text, doubt);
}

const { LOST, CORRUPTED, REFUSED } = fate;

test("a pause is explained by the loss of each transmission of what was missing", () => {
  const got = told(1_420, [1, "text", LOST], [210, "text", CORRUPTED], [620, "text", REFUSED], [1_415, "text"]);
  assert.equal(got.explained, true, got.text);
  assert.match(got.text, /0.62 s to 1.42 s: octet 5001 was lost 3 times/);
});

test("nothing was lost, or it was not even sent: not explained", () => {
  assertDoubt(told(1_420, [1_415, "text"]), /octet 5001 was not sent yet/);
  assertDoubt(told(1_420, [1, "text"], [1_415, "text"]), /octet 5001 had arrived at 0.00 s/);
});

test("one copy arrived, though others were lost: not explained", () => {
  assertDoubt(
    told(1_420, [1, "text", LOST], [210, "text"], [620, "text", LOST], [1_415, "text"]),
    /had arrived at 0.21/,
  );
});

test("a copy that came behind a later one's timestamp was refused, as the receiver's echo shows (PAWS)", () => {
  const stamped = (tsVal: number) => rig.frame({ flags: "A", seq: 5001, ack: 1, text: "abc", tsVal });
  const echoing = (tsEcr: number) => rig.frame({ flags: "A", seq: 900, ack: 5001, tsVal: 9, tsEcr });
  const withEcho = (tsEcr: number) => {
    let now = -10;
    const log = new DecisionLog(() => now);
    log.add("in", frames.before, 0);
    log.add("out", echoing(100), 0);
    for (const [atMs, direction, frame] of [
      [1, "in", stamped(101)],
      [5, "out", echoing(tsEcr)],
      [215, "in", stamped(300)],
      [225, "out", echoing(tsEcr + 200)],
      [620, "in", stamped(700)],
      [625, "out", echoing(tsEcr + 700)],
      [1_415, "in", stamped(1_500)],
    ] as const) {
      now = atMs;
      log.add(direction, frame, 0);
    }
    return explain(log, { direction: "in", startMs: 0, endMs: 1_420 });
  };
  const got = withEcho(105);
  assert.equal(got.explained, true, got.text);
  assert.match(got.text, /3 times too old/);
  assertDoubt(withEcho(100), /octet 5001 had arrived at 0.00 s/);
});

test("a sender that waits longer than its timer is not explained by one loss", () => {
  assertDoubt(told(1_420, [1, "text", LOST], [1_415, "text"]), /too long for its timer/);
  assertDoubt(told(3_420, [1, "text", LOST], [210, "text", LOST], [3_415, "text"]), /too long for its timer/);
});

test("the receiver has it, and its ACKs are lost: the sender cannot go on", () => {
  const next = rig.frame({ flags: "A", seq: 5004, ack: 1, text: "def" });
  const withNext = (what: number) => {
    let now = -10;
    const log = new DecisionLog(() => now);
    log.add("out", frames.asking, 0);
    const events: [number, "in" | "out", Uint8Array, number][] = [
      [-5, "in", frames.text, 0],
      [-4, "out", frames.taking, what],
      [200, "in", frames.text, 0],
      [201, "out", frames.taking, what],
      [610, "in", frames.text, 0],
      [611, "out", frames.taking, what],
      [1_410, "in", frames.text, 0],
      [1_411, "out", frames.taking, 0],
      [1_412, "in", next, 0],
    ];
    for (const [atMs, direction, frame, gone] of events) {
      now = atMs;
      log.add(direction, frame, gone);
    }
    return explain(log, { direction: "in", startMs: 0, endMs: 1_415 });
  };
  const got = withNext(LOST);
  assert.equal(got.explained, true, got.text);
  assert.match(got.text, /octet 5001 had arrived, 3 ACKs of it were lost/);
  assertDoubt(withNext(0), /octet 5004 was not sent yet/);
});

test("a sender that is busy with everything but what is missing", () => {
  const events: Event[] = Array.from({ length: 14 }, (_, i) => [i * 100, "before"]);
  assertDoubt(told(1_420, ...events, [1_415, "text"]), /busy for 1.42 s, but not with octet 5001/);
});

test("a process that did not run makes a pause of its own, and only of that length", () => {
  const explained = (asleepMs: number) => {
    const log = new DecisionLog(() => 0);
    log.add("out", frames.asking, 0);
    return explain(log, { direction: "in", startMs: 0, endMs: 2_500 }, [[100, 100 + asleepMs]]);
  };
  assert.match(explained(2_000).text, /a process stood still for 2.00 s/);
  assert.equal(explained(2_000).explained, true);
  assertDoubt(explained(1_000), /busy for 2.50 s/);
});

test("an ACK that lay in the device's queue, by its own timestamp, is told apart from one that came late", () => {
  const octet = (tsVal: number) => rig.frame({ flags: "A", seq: 5001, ack: 1, text: "abc", tsVal });
  const taking = (tsVal: number) => rig.frame({ flags: "A", seq: 900, ack: 5004, tsVal, tsEcr: 100 });
  const withAck = (tsVal: number) => {
    let now = -10;
    const log = new DecisionLog(() => now);
    log.add("out", rig.frame({ flags: "A", seq: 900, ack: 5001, tsVal: 990, tsEcr: 90 }), 0);
    for (const [atMs, direction, frame] of [
      [0, "in", octet(100)],
      [210, "in", octet(310)],
      [620, "in", octet(720)],
      [1_410, "out", taking(tsVal)],
      [1_412, "in", rig.frame({ flags: "A", seq: 5004, ack: 1, text: "def", tsVal: 1_512 })],
    ] as const) {
      now = atMs;
      log.add(direction, frame, 0);
    }
    return explain(log, { direction: "in", startMs: 0, endMs: 1_415 });
  };
  assert.match(withAck(1_005).text, /its ACK lay unread for 1.4\d s/);
  assert.equal(withAck(1_005).explained, true, withAck(1_005).text);
  assertDoubt(withAck(2_410), /octet 5001 had arrived, 0 ACKs of it were lost/);
});
