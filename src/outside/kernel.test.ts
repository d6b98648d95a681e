import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { Counters, type IpAddress, parseIp, systemClock } from "../base/mod.ts";
import { needs, onLaptop } from "../testkit/mod.ts";
import { isolation, Outside } from "./outside.ts";

const NEEDS = needs("tun", "userns", "ip", "unshare", "setpriv", "nc");

test("programs in the namespace reach the outside through the kernel's own TCP and UDP", NEEDS, async (t) => {
  const tcp = createServer({ allowHalfOpen: true }, (socket: Socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
  const udp = createSocket("udp4").bind(0, "127.0.0.1");
  udp.on("message", (message, from) => udp.send(message, from.port, from.address));
  t.after(() => [tcp.close(), udp.close()]);
  await Promise.all([once(tcp, "listening"), once(udp, "listening")]);
  const outside = new Outside({
    clock: systemClock,
    counters: new Counters(),
    hostLoopback: parseIp("192.0.2.1") as IpAddress,
  });
  const bytes = randomBytes(8 * 1024 * 1024);
  const out = await onLaptop(
    t,
    `nc -N 192.0.2.1 ${(tcp.address() as AddressInfo).port} <in | sha256sum
     echo over udp | nc -u -w 1 192.0.2.1 ${udp.address().port}
     nc -w 5 192.0.2.1 1 </dev/null || echo refused
     nc -w 5 127.0.0.1 ${(tcp.address() as AddressInfo).port} </dev/null || echo own loopback`,
    { input: bytes, outside },
  );
  const hash = createHash("sha256").update(bytes).digest("hex");
  assert.deepEqual(out.trim().split("\n"), [`${hash}  -`, "over udp", "refused", "own loopback"]);
});

test("what cannot be reached says so at once, in the kernel's words", NEEDS, async (t) => {
  const node = `${process.execPath} -e '
    const connect = (host) => new Promise((resolve) => {
      const started = performance.now();
      require("node:net").connect({ host, port: 80 }).on("error", (e) => {
        if (performance.now() - started < 1000) console.log(e.code);
        resolve();
      });
    });
    const ask = (host) => new Promise((resolve) => {
      const socket = require("node:dgram").createSocket(host.includes(":") ? "udp6" : "udp4");
      socket.on("error", (e) => { console.log(e.code); socket.close(); resolve(); });
      socket.connect(80, host, () => socket.send("x"));
    });
    (async () => {
      for (const host of ["198.51.100.7", "2001:db8::7"]) await connect(host);
      for (const host of ["198.51.100.7", "2001:db8::7"]) await ask(host);
    })()'`;
  const out = await onLaptop(t, node, { outside: isolation(new Counters()) });
  assert.deepEqual(out.trim().split("\n"), ["EHOSTUNREACH", "EACCES", "EHOSTUNREACH", "EACCES"]);
});
