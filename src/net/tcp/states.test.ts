/** Every transition of RFC 9293 §3.3.2 (figure 5) that a TCB makes, and what no state takes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { plainChunk } from "../../base/mod.ts";
import { ACK, FIN, NO_OPTIONS, RST, SYN } from "../wire/mod.ts";
import { type Arrival, arrival, arrive } from "./arrive.ts";
import { deadline, expire, output } from "./output.ts";
import { close, openActive, openPassive, type SegmentSink, type State, type Tcb, type TcbOptions } from "./tcb.ts";

const ISS = 1000;
const IRS = 5000;
const OPTIONS: TcbOptions = {
  ipVersion: 4,
  iss: ISS,
  tsOffset: 0,
  mssLocal: 1460,
  frameRoom: 0,
  userTimeoutMs: 120_000,
  keepAlive: undefined,
  now: 0,
};
const OFFER = { seq: IRS, wnd: 65_535, mss: 1460, windowScale: undefined, sackPermitted: false, tsVal: -1 };
/** Of our SYN, and of the FIN right behind it. */
const SYN_ACKED = ISS + 1;
const FIN_ACKED = ISS + 2;

class Peer implements SegmentSink {
  readonly tcb: Tcb;
  readonly sent: string[] = [];
  /** The number of what the peer sends next. */
  next = IRS + 1;

  constructor(tcb: Tcb) {
    this.tcb = tcb;
    output(tcb, 0, this);
  }

  send(_: Tcb, seqno: number, flags: number): void {
    const letters = [[SYN, "S"] as const, [FIN, "F"] as const, [RST, "R"] as const, [ACK, "A"] as const];
    const text = letters.flatMap(([bit, letter]) => (flags & bit ? letter : [])).join("");
    this.sent.push(`${text} ${seqno - ISS}`);
  }

  say(flags: number, ack: number, seq = this.next, text = ""): Arrival {
    const chunk = text === "" ? undefined : plainChunk(Buffer.from(text));
    const result = arrive(this.tcb, { ...NO_OPTIONS, seq, ack, flags, wnd: 65_535 }, chunk, 10);
    if (seq === this.next && flags & FIN) this.next++;
    output(this.tcb, 10, this);
    return result;
  }

  close(): void {
    close(this.tcb);
    output(this.tcb, 10, this);
  }
}

type Step = (peer: Peer) => void;

const steps = {
  "rcv ACK of SYN": (peer) => peer.say(ACK, SYN_ACKED),
  "rcv ACK of FIN": (peer) => peer.say(ACK, FIN_ACKED),
  "rcv FIN": (peer) => peer.say(FIN | ACK, SYN_ACKED),
  "rcv FIN, ACK of FIN": (peer) => peer.say(FIN | ACK, FIN_ACKED),
  "rcv SYN": (peer) => peer.say(SYN, 0, IRS),
  "rcv SYN, ACK": (peer) => peer.say(SYN | ACK, SYN_ACKED, IRS),
  "rcv RST": (peer) => peer.say(RST | ACK, SYN_ACKED),
  CLOSE: (peer) => peer.close(),
} satisfies Record<string, Step>;

type Event = keyof typeof steps;

/** How each state is reached. */
const PATHS: Record<Exclude<State, "CLOSED">, readonly Event[]> = {
  "SYN-SENT": [],
  "SYN-RECEIVED": [],
  ESTABLISHED: ["rcv ACK of SYN"],
  "FIN-WAIT-1": ["rcv ACK of SYN", "CLOSE"],
  "FIN-WAIT-2": ["rcv ACK of SYN", "CLOSE", "rcv ACK of FIN"],
  "CLOSE-WAIT": ["rcv ACK of SYN", "rcv FIN"],
  CLOSING: ["rcv ACK of SYN", "CLOSE", "rcv FIN"],
  "LAST-ACK": ["rcv ACK of SYN", "rcv FIN", "CLOSE"],
  "TIME-WAIT": ["rcv ACK of SYN", "CLOSE", "rcv FIN, ACK of FIN"],
};

function reach(state: keyof typeof PATHS): Peer {
  const peer = new Peer(state === "SYN-SENT" ? openActive(OPTIONS) : openPassive(OPTIONS, OFFER));
  for (const event of PATHS[state]) steps[event](peer);
  assert.equal(peer.tcb.state, state);
  peer.sent.length = 0;
  return peer;
}

/** From, event, to, and what is sent: flags and the number counted from our ISS. */
const TRANSITIONS: [keyof typeof PATHS, Event, State, string[]][] = [
  ["SYN-SENT", "rcv SYN", "SYN-RECEIVED", ["SA 0"]],
  ["SYN-SENT", "rcv SYN, ACK", "ESTABLISHED", ["A 1"]],
  ["SYN-SENT", "rcv RST", "CLOSED", []],
  ["SYN-SENT", "CLOSE", "CLOSED", []],
  ["SYN-RECEIVED", "rcv ACK of SYN", "ESTABLISHED", []],
  ["SYN-RECEIVED", "rcv FIN", "CLOSE-WAIT", ["A 1"]],
  ["SYN-RECEIVED", "rcv RST", "CLOSED", []],
  ["SYN-RECEIVED", "CLOSE", "SYN-RECEIVED", []], // FIN-WAIT-1 with the ACK of the SYN, see below
  ["ESTABLISHED", "rcv FIN", "CLOSE-WAIT", ["A 1"]],
  ["ESTABLISHED", "rcv RST", "CLOSED", []],
  ["ESTABLISHED", "CLOSE", "FIN-WAIT-1", ["FA 1"]],
  ["FIN-WAIT-1", "rcv ACK of FIN", "FIN-WAIT-2", []],
  ["FIN-WAIT-1", "rcv FIN", "CLOSING", ["A 2"]],
  ["FIN-WAIT-1", "rcv FIN, ACK of FIN", "TIME-WAIT", ["A 2"]],
  ["FIN-WAIT-1", "rcv RST", "CLOSED", []],
  ["FIN-WAIT-2", "rcv FIN, ACK of FIN", "TIME-WAIT", ["A 2"]],
  ["FIN-WAIT-2", "rcv RST", "CLOSED", []],
  ["CLOSE-WAIT", "CLOSE", "LAST-ACK", ["FA 1"]],
  ["CLOSE-WAIT", "rcv RST", "CLOSED", []],
  ["CLOSING", "rcv ACK of FIN", "TIME-WAIT", []],
  ["CLOSING", "rcv RST", "CLOSED", []],
  ["LAST-ACK", "rcv ACK of FIN", "CLOSED", []],
  ["LAST-ACK", "rcv RST", "CLOSED", []],
];

for (const [from, event, to, sent] of TRANSITIONS) {
  test(`${from}: ${event} → ${to}`, () => {
    const peer = reach(from);
    steps[event](peer);
    assert.equal(peer.tcb.state, to);
    assert.deepEqual(peer.sent, sent);
  });
}

test("SYN-RECEIVED: CLOSE, then the ACK of the SYN → FIN-WAIT-1 (RFC 9293 §3.10.4)", () => {
  const peer = reach("SYN-RECEIVED");
  peer.close();
  peer.say(ACK, SYN_ACKED);
  assert.equal(peer.tcb.state, "FIN-WAIT-1");
  assert.deepEqual(peer.sent, ["FA 1"]);
});

test("SYN-SENT takes no ACK of what was never sent, and nothing without SYN (RFC 9293 §3.10.7.3)", () => {
  const peer = reach("SYN-SENT");
  for (const ack of [ISS, ISS + 2]) {
    assert.equal(peer.say(SYN | ACK, ack), arrival.REPLY_RST);
    assert.equal(peer.say(RST | ACK, ack), 0);
  }
  assert.equal(peer.say(RST, 0), 0, "a RST must prove that it saw the SYN");
  assert.equal(peer.say(ACK, SYN_ACKED), 0);
  assert.equal(peer.say(FIN, 0), 0);
  assert.equal(peer.tcb.state, "SYN-SENT");
  assert.deepEqual(peer.sent, []);
});

const SYNCHRONIZED = ["ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK"] as const;

for (const state of SYNCHRONIZED) {
  test(`${state} is moved by nothing that it should not take`, () => {
    const peer = reach(state);
    const { tcb } = peer;
    const { nxt } = tcb.rcv;
    assert.equal(peer.say(SYN, 0), arrival.CHALLENGE, "RFC 5961 §4.2");
    assert.equal(peer.say(RST, 0, nxt + 1), arrival.CHALLENGE, "RFC 5961 §3.2");
    assert.equal(peer.say(RST, 0, nxt - 1), 0);
    assert.equal(peer.say(ACK, tcb.snd.max + 1), arrival.CHALLENGE, "RFC 5961 §5.2");
    const before = tcb.rcv.queue.octets;
    assert.equal(peer.say(0, 0, nxt, "text without ACK"), 0);
    assert.equal(tcb.rcv.queue.octets, before);
    assert.deepEqual([tcb.state, tcb.rcv.nxt], [state, nxt]);
    assert.deepEqual(peer.sent, []);
  });

  // In FIN-WAIT-2 nothing of ours is outstanding: the peer may take for ever.
  if (state === "FIN-WAIT-2") continue;
  test(`${state} is left when the peer is silent for too long`, () => {
    const peer = reach(state);
    const { tcb } = peer;
    if (tcb.timer.atMs === 0) {
      // Nothing is outstanding: only what we send now can go unanswered.
      tcb.snd.queue.push(plainChunk(Buffer.from("x")));
      output(tcb, 10, peer);
    }
    let verdict: "alive" | "dead" = "alive";
    let now = 10;
    while (verdict === "alive") {
      now = deadline(tcb)!;
      verdict = expire(tcb, now, peer);
    }
    assert.equal(tcb.state, "CLOSED");
    assert.ok(now >= 120_000 && now <= 120_010, `${now}`);
  });
}

for (const state of ["CLOSE-WAIT", "CLOSING", "LAST-ACK"] as const) {
  test(`${state}: after the peer's FIN there is no text, and the same FIN is acknowledged again`, () => {
    const peer = reach(state);
    const { tcb } = peer;
    const { nxt } = tcb.rcv;
    peer.say(ACK, SYN_ACKED, nxt, "beyond the end");
    assert.deepEqual([tcb.rcv.nxt, tcb.rcv.queue.octets], [nxt, 0]);
    peer.sent.length = 0;
    peer.say(FIN | ACK, SYN_ACKED, nxt - 1);
    assert.equal(tcb.state, state);
    assert.equal(peer.sent.length, 1);
    assert.match(peer.sent[0]!, /^A /);
  });
}
