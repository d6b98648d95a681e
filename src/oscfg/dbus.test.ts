import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { BackgroundProcess, needs, runOk } from "../testkit/mod.ts";
import { DBus } from "./dbus.ts";
import { DBusError } from "./errors.ts";

const dir = mkdtempSync(join(tmpdir(), "vnet-dbus-"));
after(() => rmSync(dir, { recursive: true }));

const BUS = {
  destination: "org.freedesktop.DBus",
  path: "/org/freedesktop/DBus",
  interface: "org.freedesktop.DBus",
};

async function startBus(name: string) {
  const socket = join(dir, name);
  const config = join(dir, `${name}.conf`);
  writeFileSync(
    config,
    `<busconfig><listen>unix:path=${socket}</listen><policy context="default">
     <allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>`,
  );
  const daemon = new BackgroundProcess("dbus-daemon", [
    "dbus-daemon",
    "--nofork",
    "--print-address=1",
    `--config-file=${config}`,
  ]);
  await daemon.waitFor(/^unix:/m);
  return { socket, daemon };
}

test("calls, properties and errors of a real bus", needs("dbus-daemon"), async () => {
  const { socket, daemon } = await startBus("bus");
  await using _ = daemon;
  using bus = await DBus.connect(socket);
  assert.deepEqual(await bus.call(BUS, "ListNames"), [["org.freedesktop.DBus", ":1.0"]]);
  const all = await Promise.all(
    Array.from({ length: 20 }, () => bus.call(BUS, "GetNameOwner", "s", [BUS.destination])),
  );
  assert.ok(all.every(([owner]) => owner === BUS.destination));
  assert.deepEqual(await bus.property(BUS, "Features"), (await bus.properties(BUS)).get("Features"));
  await assert.rejects(bus.call(BUS, "GetNameOwner", "s", ["test.nobody"]), {
    code: "oscfg.dbus",
    errorName: "org.freedesktop.DBus.Error.NameHasNoOwner",
  });
  await assert.rejects(bus.call({ ...BUS, destination: "test.nobody" }, "Ping"), {
    errorName: "org.freedesktop.DBus.Error.ServiceUnknown",
  });
});

test("an open connection keeps no process alive", needs("dbus-daemon"), async () => {
  const { socket, daemon } = await startBus("idle");
  await using _ = daemon;
  const url = JSON.stringify(new URL("./dbus.ts", import.meta.url).href);
  const script = `const { DBus } = await import(${url}); await DBus.connect(${JSON.stringify(socket)});`;
  const node = [process.execPath, "--disable-warning=ExperimentalWarning", "--input-type=module", "-e", script];
  await runOk(node, { timeoutMs: 10_000 });
});

test("what may be otherwise soon is worth another try", () => {
  const table: [name: string | undefined, retryable: boolean][] = [
    [undefined, true],
    ["org.freedesktop.DBus.Error.NoReply", true],
    ["org.freedesktop.DBus.Error.ServiceUnknown", true],
    ["org.freedesktop.DBus.Error.Spawn.ChildExited", true], // a service is restarting, and the bus cannot start it itself
    ["org.freedesktop.DBus.Error.AccessDenied", false],
    ["org.freedesktop.DBus.Error.UnknownMethod", false],
    ["org.freedesktop.resolve1.NoSuchLink", false],
  ];
  for (const [name, retryable] of table) assert.equal(new DBusError("text", name).retryable, retryable, String(name));
});

test("without a bus, or when it ends, calls fail at once", needs("dbus-daemon"), async () => {
  await assert.rejects(DBus.connect(join(dir, "nowhere")), { message: "there is no D-Bus system bus" });
  const { socket, daemon } = await startBus("short-lived");
  using bus = await DBus.connect(socket);
  assert.equal(bus.closed, false);
  const waiting = bus.call({ ...BUS, destination: ":1.0" }, "Ping"); // we never answer ourselves
  const failed = assert.rejects(waiting, { message: "the connection to the D-Bus system bus has ended" });
  await daemon.stop();
  await failed;
  await assert.rejects(bus.call(BUS, "ListNames"), { code: "oscfg.dbus" });
  assert.equal(bus.closed, true);
});

test("a bus that refuses us, or sends nonsense, is an error", async () => {
  const table: [answer: (data: string) => string, message: RegExp][] = [
    [() => "REJECTED EXTERNAL\r\n", /does not let us in/],
    [(data) => (data.includes("AUTH") ? "OK 1234\r\n" : "HTTP/1.1 400 Bad Request\r\n"), /nonsense \(dbus\.endian\)/],
  ];
  for (const [i, [answer, message]] of table.entries()) {
    const socket = join(dir, `fake-${i}`);
    const server = createServer((client) => client.on("data", (data) => client.write(answer(data.toString("latin1")))));
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    await assert.rejects(DBus.connect(socket), { message });
    server.close();
  }
});
