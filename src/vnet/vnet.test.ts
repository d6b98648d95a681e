import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";
import {
  type ByteStream,
  type Clock,
  createLogger,
  encodeUtf8,
  formatIp,
  isMalformed,
  parseIp,
  systemClock,
} from "../base/mod.ts";
import {
  appView,
  type FakeDial,
  LEAF_VIEW,
  ROOT_VIEW,
  StreamUser,
  startVirtualVnet,
  streamPair,
} from "../testkit/mod.ts";
import type { SavedName } from "./assignments.ts";
import { DIAL_TIMEOUT_MS, LOG_REPEAT_MS, MAX_DIALS_PER_NAME, MAX_DNS_STREAMS } from "./limits.ts";
import { RefusalLog } from "./refusals.ts";
import type { OpenConnection } from "./traffic.ts";

const settle = (ms = 20) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

test("a name becomes an address of its cluster's range, in both families, and leads to the app", async (t) => {
  const { host, directory, vnet } = startVirtualVnet(t);
  const { addresses, authoritative } = await host.lookup("Echo.Company.Test");
  assert.ok(authoritative);
  assert.match(addresses[0]!, /^192\.168\.2\./);
  const [v6] = (await host.lookup("echo.company.test", "AAAA")).addresses;
  const low = parseIp(v6!);
  assert(!isMalformed(low));
  assert.equal(formatIp(low.subarray(12)), addresses[0]);
  for (const family of ["A", "AAAA"] as const) {
    const user = await host.dial("echo.company.test", 5432, family);
    user.send(encodeUtf8("hello"));
    assert.deepEqual(await user.until(5), encodeUtf8("hello"));
    user.end();
    assert.equal(await user.closed, "end");
  }
  assert.deepEqual(directory.dialled, Array(2).fill("teleport.example.com/echo.company.test:5432"));
  await settle();
  const { connections, toApps, fromApps, names } = vnet.stats();
  assert.deepEqual([connections.open, connections.total, toApps, fromApps], [0, 2, 10, 10]);
  assert.deepEqual(names, [{ host: "echo.company.test", v4: addresses[0], v6 }]);
});

test("root and leaf apps, three rounds at once: ten blocks of 2,000 octets each; a lookup alone dials nothing", async (t) => {
  const { host, directory } = startVirtualVnet(t);
  const apps = [
    ["echo.company.test", 80, /^192\.168\.2\./],
    ["deep.er.company.test", 80, /^192\.168\.2\./],
    ["multi.company.test", 1337, /^192\.168\.2\./],
    ["echo.leaf.example.org", 80, /^100\./],
  ] as const;
  for (const [name, , range] of apps) assert.match((await host.lookup(name)).addresses[0]!, range);
  await assert.rejects(host.dial("not.an.app.example.com", 80), /has no address \(NXDOMAIN\)/);
  assert.deepEqual(directory.dialled, []);
  for (let round = 1; round <= 3; round++) {
    await Promise.all(
      apps.map(async ([name, port]) => {
        const user = await host.dial(name, port);
        const blocks = Array.from({ length: 10 }, () => randomBytes(2_000));
        for (const [i, block] of blocks.entries()) {
          user.send(block);
          await user.until((i + 1) * block.length);
        }
        user.end();
        assert.equal(await user.closed, "end");
        assert.equal(sha256(user.received), sha256(Buffer.concat(blocks)));
      }),
    );
    assert.equal(directory.dialled.length, round * apps.length);
  }
});

test("each cluster's apps have addresses of its own range", async (t) => {
  const { host } = startVirtualVnet(t);
  assert.match((await host.lookup("echo.leaf.example.org")).addresses[0]!, /^100\./);
  assert.match((await host.lookup("deep.er.company.test")).addresses[0]!, /^192\.168\.2\./);
});

test("the proxy's own name, web apps, unknown names and a zone's own name are forwarded", async (t) => {
  const { host, forwarded } = startVirtualVnet(t);
  const names = [
    "teleport.example.com",
    "TELEPORT.Example.com",
    "web.company.test",
    "unknown.company.test",
    "company.test",
    "example.org",
  ];
  for (const name of names) {
    const { rcode, authoritative } = await host.lookup(name);
    assert.deepEqual([rcode, authoritative], ["NXDOMAIN", false], name);
  }
  assert.equal(forwarded.length, names.length);
});

test("the address of a name leads back to it, while its app is there; other reverse names are forwarded", async (t) => {
  const { host, directory, forwarded } = startVirtualVnet(t);
  const [v4] = (await host.lookup("echo.company.test")).addresses;
  const reverse = `${v4!.split(".").reverse().join(".")}.in-addr.arpa`;
  assert.deepEqual((await host.lookup(reverse, "PTR")).addresses, ["echo.company.test"]);
  assert.equal(forwarded.length, 0);
  assert.equal((await host.lookup("77.2.168.192.in-addr.arpa", "PTR")).rcode, "NXDOMAIN");
  directory.change([]);
  assert.equal((await host.lookup(reverse, "PTR")).rcode, "NXDOMAIN");
  assert.equal(forwarded.length, 2);
});

test("DNS is answered over TCP too", async (t) => {
  const { host } = startVirtualVnet(t);
  const udp = await host.lookup("echo.company.test", "AAAA");
  assert.deepEqual(await host.lookup("echo.company.test", "AAAA", "tcp"), udp);
  assert.equal((await host.lookup("example.org", "A", "tcp")).rcode, "NXDOMAIN");
});

test("a port outside tcp_ports is refused at once, without a dial, and the log says why", async (t) => {
  const { host, directory, lines } = startVirtualVnet(t);
  const started = performance.now();
  await assert.rejects(host.dial("multi.company.test", 1000));
  await assert.rejects(host.dial("multi.company.test", 1000));
  assert.ok(performance.now() - started < 500);
  assert.deepEqual(directory.dialled, []);
  assert.deepEqual(lines, [
    "connection to multi.company.test:1000 refused: not among the target ports of the app: 1337, 4000-4010",
  ]);
  const user = await host.dial("multi.company.test", 4010);
  user.send(Uint8Array.of(7));
  await user.until(1);
});

test("an address without a name, and a DNS address's other ports, are refused at once", async (t) => {
  const { host, directory } = startVirtualVnet(t);
  const started = performance.now();
  for (const address of ["192.168.2.77", "100.99.1.2"]) await assert.rejects(host.connect(address, 80), address);
  await assert.rejects(host.connect("192.168.2.2", 80));
  assert.ok(performance.now() - started < 500);
  assert.deepEqual(directory.dialled, []);
});

test("packets to nowhere are refused within one round trip, in both families", async (t) => {
  const { host, vnet } = startVirtualVnet(t);
  const [v4] = (await host.lookup("multi.company.test")).addresses;
  const [v6] = (await host.lookup("multi.company.test", "AAAA")).addresses;
  const nobody6 = v6!.replace(/[^:]+$/, "2ff"); // a neighbour of the app's own address
  for (const [address, port] of [
    ["192.168.2.77", 80], // unassigned
    [nobody6, 80],
    [v4!, 1338], // not among tcp_ports
    [v6!, 1338],
  ] as const) {
    await assert.rejects(host.connect(address, port), /refused/, address);
  }
  // One packet there, one back: nothing was sent again, and no timer was waited for.
  assert.deepEqual(
    ["tcp.rst-sent", "tcp.syn-absorbed"].map((name) => vnet.counters.get(name)),
    [4, 0],
  );
  for (const address of ["192.168.2.77", nobody6, v4!, v6!]) host.send(address, 1337, Uint8Array.of(1));
  await settle();
  assert.deepEqual(host.unreachables, ["3/3", "1/4", "3/3", "1/4"]);
});

test("a full range, or one too small, is SERVFAIL with one line; names that have addresses are still answered", async (t) => {
  const { host, directory, lines } = startVirtualVnet(t);
  const apps = Array.from({ length: 30 }, (_, i) => appView(`app${i}.company.test`));
  directory.change([{ ...ROOT_VIEW, ipv4Cidr: "10.9.0.0/27", apps }]);
  const rcodes = await Promise.all(apps.map(async (app) => (await host.lookup(app.publicAddr)).rcode));
  assert.deepEqual(rcodes, [...Array(28).fill("NOERROR"), "SERVFAIL", "SERVFAIL"]);
  assert.equal((await host.lookup("app3.company.test")).rcode, "NOERROR");
  directory.change([{ ...ROOT_VIEW, ipv4Cidr: "10.9.0.0/28" }]);
  assert.equal((await host.lookup("echo.company.test")).rcode, "SERVFAIL");
  assert.equal(
    lines.pop(),
    "the name echo.company.test cannot be resolved: 10.9.0.0/28 is not an IPv4 range that VNet can use",
  );
  assert.deepEqual(lines, ["the name app28.company.test cannot be resolved: every address of 10.9.0.0/27 is taken"]);
});

test("the next run gives a name the same addresses", async (t) => {
  let saved: readonly SavedName[] = [];
  const store = () => ({
    names: saved,
    changed: (names: () => readonly SavedName[]) => {
      saved = names();
    },
  });
  const first = await startVirtualVnet(t, { store: store() }).host.lookup("echo.company.test");
  const again = startVirtualVnet(t, { store: store(), seed: 77 });
  assert.deepEqual(await again.host.lookup("echo.company.test"), first);
  again.directory.change([]);
  assert.equal(saved[0]!.released !== undefined, true);
});

test("an app of an expired login is still ours; whoever asks below its zones is told, and goes upstream", async (t) => {
  const { host, directory, forwarded } = startVirtualVnet(t);
  directory.change([{ ...ROOT_VIEW, loginExpired: true }, LEAF_VIEW]);
  assert.equal((await host.lookup("echo.company.test")).addresses.length, 1);
  assert.deepEqual([directory.needed, forwarded.length], [["teleport.example.com"], 0]);
  assert.equal((await host.lookup("other.company.test")).rcode, "NXDOMAIN");
  assert.deepEqual([directory.needed.length, forwarded.length], [2, 1]);
  for (const name of ["teleport.example.com", "example.org", "echo.leaf.example.org"]) await host.lookup(name);
  assert.equal(directory.needed.length, 2);
  const user = await host.dial("echo.company.test", 80); // the directory's affair
  user.send(Uint8Array.of(1));
  await user.until(1);
});

test("UDP to anything but DNS is answered as unreachable", async (t) => {
  const { host } = startVirtualVnet(t);
  const { addresses } = await host.lookup("echo.company.test");
  host.send(addresses[0]!, 53, Uint8Array.of(1));
  host.send("192.168.2.2", 54, Uint8Array.of(1));
  await settle();
  assert.deepEqual(host.unreachables, ["3/3", "3/3"]);
});

test("the client's SYN waits for the app; a failure is a refusal with one line that says why", async (t) => {
  // Each dial, in order, with the way to answer it.
  let dialled = Promise.withResolvers<(result: ByteStream | Error) => void>();
  const dial = () =>
    new Promise<ByteStream>((resolve, reject) => {
      dialled.resolve((result) => (result instanceof Error ? reject(result) : resolve(result)));
    });
  const { host, directory, lines } = startVirtualVnet(t, { dial });
  let connected = false;
  const waiting = host.dial("echo.company.test", 80).then((user) => {
    connected = true;
    return user;
  });
  const accept = await dialled.promise;
  await settle(50);
  assert.equal(connected, false);
  accept(directory.serve());
  const user = await waiting;
  user.send(Uint8Array.of(1));
  await user.until(1);

  dialled = Promise.withResolvers();
  const refused = assert.rejects(host.dial("echo.company.test", 81));
  (await dialled.promise)(new Error("the app's server refused the connection"));
  await refused;
  assert.deepEqual(lines, ["connection to echo.company.test:81 refused: the app's server refused the connection"]);
});

test("a dial that takes too long is given up, and what comes later is reset", async (t) => {
  const timers: { delayMs: number; run: () => void }[] = [];
  const clock: Clock = {
    ...systemClock,
    after(delayMs, run) {
      if (delayMs !== DIAL_TIMEOUT_MS) return systemClock.after(delayMs, run);
      timers.push({ delayMs, run });
      return { cancel: () => {} };
    },
  };
  let late: (stream: ByteStream) => void = () => {};
  let given: AbortSignal | undefined;
  const dial: FakeDial = (_port, signal) => {
    given = signal;
    return new Promise((resolve) => {
      late = resolve;
    });
  };
  const { host, directory, lines } = startVirtualVnet(t, { dial, clock });
  const refused = assert.rejects(host.dial("echo.company.test", 80));
  await settle();
  timers[0]!.run();
  await refused;
  assert.equal(given!.aborted, true);
  assert.deepEqual(lines, ["connection to echo.company.test:80 refused: the app did not answer within 30 s"]);
  late(directory.serve());
  assert.equal(await directory.servers[0]!.closed, "shutdown");
});

test("a client that gives up while it waits ends the dial", async (t) => {
  let given: AbortSignal | undefined;
  const dial: FakeDial = (_port, signal) => {
    given = signal;
    return new Promise(() => {});
  };
  const { host, vnet, lines, killLast } = startVirtualVnet(t, { dial });
  host.dial("echo.company.test", 80).catch(() => {});
  await settle();
  assert.deepEqual([given!.aborted, vnet.stats().connections.dialing], [false, 1]);
  killLast();
  await settle();
  assert.deepEqual([given!.aborted, vnet.stats().connections.dialing], [true, 0]);
  assert.deepEqual([vnet.stats().connections.refused, vnet.counters.get("vnet.cancelled"), lines.length], [0, 1, 0]);
});

test("half-close passes in both directions: the answer still comes after the client's end", async (t) => {
  const [near, far] = streamPair();
  const { host } = startVirtualVnet(t, { dial: () => Promise.resolve(near) });
  const server = new StreamUser(far);
  const user = await host.dial("echo.company.test", 80);
  user.send(encodeUtf8("question"));
  user.end();
  assert.equal(await server.peerEnded, "end");
  assert.deepEqual(server.received, encodeUtf8("question"));
  await settle(); // the half-open state lasts
  server.send(encodeUtf8("answer"));
  assert.deepEqual(await user.until(6), encodeUtf8("answer"));
  server.end();
  assert.deepEqual(await Promise.all([user.closed, server.closed]), ["end", "end"]);
});

test("a reset of either side reaches the other", async (t) => {
  const { host, directory } = startVirtualVnet(t);
  const first = await host.dial("echo.company.test", 80);
  first.send(Uint8Array.of(1));
  await first.until(1);
  directory.servers[0]!.reset();
  assert.notEqual(await first.closed, "end");
  const second = await host.dial("echo.company.test", 80);
  second.send(Uint8Array.of(1));
  await second.until(1);
  second.reset();
  assert.notEqual(await directory.servers[1]!.closed, "end");
});

test("a change counts at once: new apps are served, removed ones refuse, open connections stay", async (t) => {
  const { host, directory } = startVirtualVnet(t);
  assert.equal((await host.lookup("new.other.test")).rcode, "NXDOMAIN");
  const open = await host.dial("echo.company.test", 80);
  const view = {
    ...ROOT_VIEW,
    zones: ["company.test", "other.test"],
    ipv4Cidr: "10.9.0.0/16",
    apps: [appView("new.other.test")],
  };
  directory.change([view]);
  const fresh = await host.dial("new.other.test", 80);
  fresh.send(Uint8Array.of(1));
  await fresh.until(1);
  assert.match((await host.lookup("new.other.test")).addresses[0]!, /^10\.9\./);
  assert.equal((await host.lookup("echo.company.test")).rcode, "NXDOMAIN");
  await assert.rejects(host.connect("100.64.77.77", 80), "the former range still leads here, and nothing hangs");
  open.send(Uint8Array.of(2));
  assert.deepEqual(await open.until(1), Uint8Array.of(2));
  directory.change([ROOT_VIEW]);
  const { addresses } = await host.lookup("echo.company.test");
  directory.change([view]);
  await assert.rejects(host.connect(addresses[0]!, 80));
  directory.change([{ ...ROOT_VIEW, apps: [appView("echo.company.test", [{ port: 81 }])] }]);
  await assert.rejects(host.connect(addresses[0]!, 80), "the ports are the new ones");
});

test("100 connections at once, with loss, carry what was sent", async (t) => {
  const { host, directory, vnet } = startVirtualVnet(t, { loss: 0.002 });
  const { addresses } = await host.lookup("echo.company.test");
  const { addresses: v6 } = await host.lookup("echo.company.test", "AAAA");
  await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      const bytes = randomBytes(50_000 + i);
      const user = await host.connect(i % 2 ? addresses[0]! : v6[0]!, 80);
      user.send(bytes);
      user.end();
      assert.equal(await user.closed, "end");
      assert.equal(sha256(user.received), sha256(bytes));
    }),
  );
  assert.equal(directory.servers.length, 100);
  await settle();
  const sum = 100 * 50_000 + (99 * 100) / 2;
  assert.deepEqual([vnet.stats().toApps, vnet.stats().fromApps, vnet.stats().connections.open], [sum, sum, 0]);
});

test("traffic is counted by name, and open connections are listed with their octets", async (t) => {
  const { host, vnet } = startVirtualVnet(t);
  const first = await host.dial("echo.company.test", 5432);
  first.send(encodeUtf8("hello"));
  await first.until(5);
  first.end();
  await first.closed;
  const second = await host.dial("echo.company.test", 80, "AAAA");
  second.send(encodeUtf8("abc"));
  await second.until(3);
  await assert.rejects(host.dial("multi.company.test", 1));
  await assert.rejects(host.connect("192.168.2.77", 80));
  await settle();
  const { apps, open, connections } = vnet.stats();
  const names = { cluster: "teleport.example.com" };
  assert.deepEqual(apps, [
    { host: "echo.company.test", app: "echo", ...names, open: 1, total: 2, refused: 0, toApp: 8, fromApp: 8 },
    { host: "multi.company.test", app: "multi", ...names, open: 0, total: 0, refused: 1, toApp: 0, fromApp: 0 },
  ]);
  const [{ since, from, ...one }] = open as [OpenConnection];
  assert.deepEqual(one, { host: "echo.company.test", app: "echo", ...names, port: 80, toApp: 3, fromApp: 3 });
  assert.match(from, /^\[fd[0-9a-f:]+::1\]:4\d{4}$/);
  assert.ok(Math.abs(Date.now() - since) < 5_000);
  assert.deepEqual([connections.refused, open.length], [2, 1]);
});

test("closing resets what is open and gives up what is being set up", async (t) => {
  let aborted: unknown;
  const dial: FakeDial = (port, signal) => {
    if (port === 80) return Promise.resolve(directory.serve());
    return new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => {
        aborted = signal.reason;
        reject(signal.reason);
      });
    });
  };
  const { host, directory, vnet, lines } = startVirtualVnet(t, { dial });
  const user = await host.dial("echo.company.test", 80);
  const pending = assert.rejects(host.dial("echo.company.test", 81));
  await settle();
  await vnet.close();
  assert.notEqual(await user.closed, "end");
  assert.equal(await directory.servers[0]!.closed, "shutdown");
  await pending;
  assert.ok(aborted);
  assert.deepEqual(lines, []);
});

test("an upstream's answer that points into a served range loses that address", async (t) => {
  const { host } = startVirtualVnet(t);
  assert.deepEqual((await host.lookup("rebind.example.org")).addresses, ["192.0.2.9"]);
});

test("without IPv6 on the host names have IPv4 addresses only", async (t) => {
  const { host, forwarded } = startVirtualVnet(t, { ipv6: false });
  const { rcode, addresses } = await host.lookup("echo.company.test", "AAAA");
  assert.deepEqual([rcode, addresses, forwarded.length], ["NOERROR", [], 0]);
  assert.equal((await host.lookup("echo.company.test")).addresses.length, 1);
});

test("ping is answered for names and DNS only; strangers and packets to the host itself are dropped", async (t) => {
  const { host, vnet } = startVirtualVnet(t);
  const { addresses } = await host.lookup("echo.company.test");
  host.ping(addresses[0]!);
  host.ping("192.168.2.2");
  host.ping("192.168.2.77");
  await settle();
  assert.deepEqual([host.echoes, host.unreachables], [[addresses[0]!, "192.168.2.2"], ["3/1"]]);
  host.ping(addresses[0]!, "192.168.2.9");
  host.ping("192.168.2.1");
  host.ping("203.0.113.1");
  await settle();
  assert.deepEqual([host.echoes.length, host.unreachables.length], [2, 1]);
  assert.deepEqual([vnet.counters.get("ip.source-refused"), vnet.counters.get("ip.not-local")], [1, 2]);
});

test("an app that hangs cannot take all attempts: beyond its share it refuses, others are served", async (t) => {
  const { host, directory, vnet, lines } = startVirtualVnet(t, {
    dial: (_port, _signal, to) => (to.name === "deep" ? new Promise(() => {}) : Promise.resolve(directory.serve())),
  });
  const { addresses } = await host.lookup("deep.er.company.test");
  const hanging = Array.from({ length: MAX_DIALS_PER_NAME }, () => host.connect(addresses[0]!, 80));
  for (const one of hanging) one.catch(() => {});
  const until = performance.now() + 2_000;
  while (vnet.stats().connections.dialing < MAX_DIALS_PER_NAME && performance.now() < until) await settle();
  assert.equal(vnet.stats().connections.dialing, MAX_DIALS_PER_NAME);
  await assert.rejects(host.connect(addresses[0]!, 80));
  assert.match(lines[0]!, /512 connections to it are being set up already/);
  const user = await host.dial("echo.company.test", 80);
  user.send(Uint8Array.of(1));
  await user.until(1);
});

test("DNS connections are bounded, and their places come back", async (t) => {
  const { host } = startVirtualVnet(t);
  const open = await Promise.all(Array.from({ length: MAX_DNS_STREAMS }, () => host.connect("192.168.2.2", 53)));
  await assert.rejects(host.connect("192.168.2.2", 53));
  open[0]!.end();
  assert.equal(await open[0]!.closed, "end");
  await host.connect("192.168.2.2", 53);
});

test("a device that vanishes ends the run with its error, and everything else", async (t) => {
  const { host, directory, running, loseDevice, upstreamsClosed } = startVirtualVnet(t);
  await host.dial("echo.company.test", 80);
  await settle();
  loseDevice(new Error("gone"));
  await assert.rejects(running, /gone/);
  assert.equal(await directory.servers[0]!.closed, "shutdown");
  assert.ok(upstreamsClosed());
});

test("the same refusal is told once a second; the memory of it is bounded", () => {
  let now = 0;
  let lines = 0;
  const log = createLogger({ level: "info", format: "json", write: () => void lines++ });
  const refusals = new RefusalLog(log, { ...systemClock, now: () => now });
  for (; now < 2 * LOG_REPEAT_MS; now += 100) refusals.tell("a.test", 80, "why");
  assert.equal(lines, 2);
  for (let port = 0; port < 10_000; port++) refusals.tell("a.test", port, "why");
  assert.equal(lines, 10_002);
});
