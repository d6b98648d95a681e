import assert from "node:assert/strict";
import { test } from "node:test";
import { Application, CLIENT, CLIENT_PORT, Rig, SERVER, SERVER_PORT } from "./rig.ts";

for (const v6 of [false, true]) {
  test(`the SYN is answered only after accept (${v6 ? "IPv6" : "IPv4"})`, () => {
    const rig = new Rig({ v6 });
    rig.send({ flags: "S", seq: 5000, mss: 1400, windowScale: 7 });
    rig.expectNothing();
    const attempt = rig.attempts[0]!;
    assert.deepEqual(attempt.local, { address: rig.local, port: SERVER_PORT });
    assert.deepEqual(attempt.remote, { address: rig.remote, port: CLIENT_PORT });

    rig.clock.advance(3000);
    rig.send({ flags: "S", seq: 5000, mss: 1400, windowScale: 7 }); // the client asks again
    assert.equal(rig.attempts.length, 1);
    rig.expectNothing();

    attempt.accept();
    rig.expect({ flags: "SA", seq: 0, ack: 5001, wnd: 65_535, mss: v6 ? 1440 : 1460, windowScale: 8 });
    rig.send({ flags: "A", seq: 5001, ack: 1 });
    rig.expectNothing();
    assert.equal(rig.stack.connections, 1);
    assert.equal(rig.framesHeld, 0);
  });
}

test("a SYN without options gets no window scale", () => {
  const rig = new Rig();
  rig.send({ flags: "S", seq: 5000 });
  rig.attempts[0]!.accept();
  const sent = rig.expect({ flags: "SA", seq: 0, ack: 5001 });
  assert.equal(sent.windowScale, undefined);
  assert.equal(sent.mss, 1460);
});

test("refuse is a RST at once, and a second answer is nothing", () => {
  const rig = new Rig();
  rig.send({ flags: "S", seq: 5000 });
  const attempt = rig.attempts[0]!;
  attempt.refuse();
  rig.expect({ flags: "RA", seq: 0, ack: 5001, wnd: 0 });
  attempt.refuse();
  rig.expectNothing();
  assert.equal(attempt.aborted.aborted, false);
});

test("a RST from the client aborts the attempt; accepting it late gives a dead stream", async () => {
  const rig = new Rig();
  rig.send({ flags: "S", seq: 5000 });
  const attempt = rig.attempts[0]!;
  const { aborted } = attempt;
  assert.equal(aborted.aborted, false);
  rig.send({ flags: "R", seq: 5001 });
  assert.equal(aborted.aborted, true);
  const app = await new Application(attempt.accept()).ready();
  assert.deepEqual(app.log, ["reset peer"]);
  rig.expectNothing();
});

test("a SYN with another number takes the place of the held one", () => {
  const rig = new Rig();
  rig.send({ flags: "S", seq: 5000 });
  rig.send({ flags: "S", seq: 9000 });
  assert.equal(rig.attempts.length, 2);
  assert.equal(rig.attempts[0]!.aborted.aborted, true);
  rig.attempts[1]!.accept();
  rig.expect({ flags: "SA", ack: 9001 });
});

test("a held SYN expires", () => {
  const rig = new Rig();
  rig.send({ flags: "S", seq: 5000 });
  const { aborted } = rig.attempts[0]!;
  rig.clock.advance(129_000);
  assert.equal(aborted.aborted, false);
  rig.clock.advance(2_000);
  assert.equal(aborted.aborted, true);
  rig.expect({ flags: "RA", ack: 5001 });
});

test("no more than 1024 SYNs are held; an answer makes room", () => {
  const rig = new Rig();
  for (let i = 0; i < 1025; i++) {
    rig.port = 10_000 + i;
    rig.send({ flags: "S", seq: 5000 });
  }
  assert.equal(rig.attempts.length, 1024);
  assert.equal(rig.counters.get("tcp.attempts-full"), 1);
  rig.attempts[0]!.refuse();
  rig.send({ flags: "S", seq: 5000 });
  assert.equal(rig.attempts.length, 1025);
});

test("a lost SYN-ACK is sent again, by the timer and when the client asks", () => {
  const rig = new Rig();
  rig.send({ flags: "S", seq: 5000 });
  rig.attempts[0]!.accept();
  rig.expect({ flags: "SA", seq: 0 });
  rig.clock.advance(999);
  rig.expectNothing();
  rig.clock.advance(1);
  rig.expect({ flags: "SA", seq: 0 });
  rig.clock.advance(2000); // doubled
  rig.expect({ flags: "SA", seq: 0 });
  rig.send({ flags: "S", seq: 5000 });
  rig.expect({ flags: "SA", seq: 0 });
  rig.expectNothing();
});

test("a client that never answers the SYN-ACK is given up after 3 minutes", async () => {
  const rig = new Rig();
  rig.send({ flags: "S", seq: 5000 });
  const app = await new Application(rig.attempts[0]!.accept()).ready();
  rig.clock.advance(179_000);
  assert.deepEqual(app.log, []);
  rig.clock.advance(2_000);
  assert.deepEqual(app.log, ["reset timeout"]);
  assert.equal(rig.stack.connections, 0);
});

test("a wrong ACK of the SYN-ACK is answered by a RST and changes nothing (RFC 9293 §3.10.7.4)", () => {
  const rig = new Rig();
  rig.send({ flags: "S", seq: 5000 });
  rig.attempts[0]!.accept();
  rig.expect({ flags: "SA" });
  rig.send({ flags: "A", seq: 5001, ack: 77 });
  rig.expect({ flags: "R", seq: 77 });
  rig.send({ flags: "A", seq: 5001, ack: 1 });
  rig.expectNothing();
  assert.equal(rig.stack.connections, 1);
});

test("text in the segment that ends the handshake is delivered", async () => {
  const rig = new Rig();
  rig.send({ flags: "S", seq: 5000 });
  const app = await new Application(rig.attempts[0]!.accept()).ready();
  rig.expect({ flags: "SA" });
  app.stream.credit(100);
  rig.send({ flags: "PA", seq: 5001, ack: 1, text: "hello" });
  rig.expect({ flags: "A", seq: 1, ack: 5006 });
  assert.equal(app.text, "hello");
  assert.equal(app.allowance, 1024 * 1024);
});

test("active open: SYN, SYN-ACK, ACK", async () => {
  const rig = new Rig();
  const connecting = rig.stack.connect({ address: SERVER, port: SERVER_PORT }, { address: CLIENT, port: CLIENT_PORT });
  rig.expect({ flags: "S", seq: 0, mss: 1460, windowScale: 8 });
  rig.send({ flags: "SA", seq: 5000, ack: 1, mss: 1460, windowScale: 2 });
  rig.expect({ flags: "A", seq: 1, ack: 5001, wnd: 256 });
  const app = await new Application(await connecting).ready();
  app.write("x");
  rig.expect({ flags: "PA", seq: 1, ack: 5001, text: "x" });
});

test("active open: refused, and not answered", async () => {
  const rig = new Rig();
  const local = { address: SERVER, port: SERVER_PORT };
  const remote = { address: CLIENT, port: CLIENT_PORT };
  const refused = rig.stack.connect(local, remote);
  rig.expect({ flags: "S" });
  await assert.rejects(rig.stack.connect(local, remote), { code: "net.address-in-use" });
  rig.send({ flags: "RA", seq: 0, ack: 1 });
  await assert.rejects(refused, { code: "net.refused" });

  const silent = rig.stack.connect(local, remote);
  rig.clock.advance(181_000);
  await assert.rejects(silent, { code: "net.timeout" });
  assert.equal(rig.stack.connections, 0);
});

test("simultaneous open (RFC 9293 §3.5, figure 7)", async () => {
  const rig = new Rig();
  const connecting = rig.stack.connect({ address: SERVER, port: SERVER_PORT }, { address: CLIENT, port: CLIENT_PORT });
  rig.expect({ flags: "S", seq: 0 });
  rig.send({ flags: "S", seq: 5000, mss: 1460 });
  rig.expect({ flags: "SA", seq: 0, ack: 5001 });
  rig.send({ flags: "SA", seq: 5000, ack: 1 });
  await connecting;
});
