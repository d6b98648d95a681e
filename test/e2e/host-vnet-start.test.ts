/** Who may start `tsh vnet`, how, and what it says where it cannot run. */
import assert from "node:assert/strict";
import test from "node:test";
import { needs } from "../../src/testkit/mod.ts";
import { PASSWORD, PROXY, USER } from "./guide-cluster.ts";
import { clientAddress, HOST_NEEDS, LaptopVnet, PSQL } from "./host-vnet.ts";

const AGENT = "10.77.0.30";

test("the start of tsh vnet", needs(...HOST_NEEDS), async (t) => {
  await using laptop = await LaptopVnet.prepare();
  const { alice, root } = laptop;
  const before = await laptop.snapshot();
  const stop = async (vnet: Awaited<ReturnType<typeof laptop.start>>) => {
    assert.deepEqual(await vnet.stop("SIGINT"), { code: 0, signal: null }, vnet.output);
    await laptop.restored(before, performance.now());
  };

  await t.test("a second one is refused with the reason, and disturbs nothing", async () => {
    const vnet = await laptop.start();
    const running = await laptop.snapshot();
    const second = await alice.exec(["sudo", "tsh", "vnet"]);
    assert.match(
      second.stderr,
      /^ERROR: VNet is running on this host already, started by alice \(pid \d+\); end it before starting another\n$/,
    );
    assert.deepEqual([second.stdout, second.code], ["", 1]);
    assert.equal(await laptop.snapshot(), running);
    assert.equal(await clientAddress(alice), AGENT);
    await stop(vnet);
  });

  await t.test("a login in another place is found: TELEPORT_HOME goes through sudo", async () => {
    await alice.execOk(["mv", ".tsh", "elsewhere"]);
    for (const [command, env] of [
      [["tsh", "vnet"], { TELEPORT_HOME: "/home/alice/elsewhere" }],
      [["sudo", "TELEPORT_HOME=/home/alice/elsewhere", "tsh", "vnet"], {}],
    ] as const) {
      await stop(await laptop.start([...command], alice, env));
    }
    const lost = await alice.exec(["sudo", "tsh", "vnet"]);
    assert.match(lost.stderr, /^ERROR: not logged in; log in with "tsh login /);
    assert.equal(lost.code, 1);
    await alice.execOk(["mkdir", "home"]);
    await alice.execOk(["mv", "elsewhere", "home/.tsh"]);
    await stop(await laptop.start(["tsh", "vnet"], alice, { HOME: "/home/alice/home" }));
    await alice.execOk(["mv", "home/.tsh", ".tsh"]);
    assert.equal(await laptop.snapshot(), before);
  });

  await t.test("root with a login of alice's starts it for alice; with --all-users for everyone", async () => {
    const vnet = await laptop.start(["tsh", "vnet", "--all-users"], root, { TELEPORT_HOME: "/home/alice/.tsh" });
    const uid = (await alice.execOk(["id", "-u"])).trim();
    const { user } = await laptop.processes();
    assert.match(await root.execOk(["cat", `/proc/${user}/status`]), new RegExp(`^Uid:\t${uid}\t`, "m"));
    const stranger = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    assert.equal(await root.execOk([...stranger, ...PSQL, "select 'in'"], { cwd: "/" }), "in\n");
    await stop(vnet);
  });

  await t.test("root with a login of its own has it to itself, without any capability", async () => {
    await root.execOk(["tsh", "login", `--proxy=${PROXY}`, `--user=${USER}`], { input: `${PASSWORD}\n` });
    const vnet = await laptop.start(["tsh", "vnet"], root);
    assert.match(vnet.output, /no other user found: VNet runs as root, without any capability/);
    assert.equal(await clientAddress(root), AGENT);
    const refused = await alice.exec([...PSQL, "select 1"]);
    assert.match(refused.stderr, /Permission denied/);
    const { user } = await laptop.processes();
    const status = await root.execOk(["cat", `/proc/${user}/status`]);
    for (const set of ["Prm", "Eff", "Bnd", "Inh", "Amb"]) assert.match(status, new RegExp(`^Cap${set}:\t0+$`, "m"));
    await stop(vnet);
  });

  await t.test("where the device is missing, or sudo, it says so and leaves nothing", async () => {
    await root.execOk(["mount", "-t", "tmpfs", "nothing", "/dev/net"]);
    const noDevice = await alice.exec(["sudo", "tsh", "vnet"]);
    assert.match(noDevice.stderr, /^ERROR: .*\/dev\/net\/tun/);
    assert.equal(noDevice.code, 1);
    await root.execOk(["rm", "/usr/bin/sudo"]);
    const noSudo = await alice.exec(["tsh", "vnet"]);
    assert.equal(
      noSudo.stderr,
      "ERROR: VNet needs root for a network device, routes and name servers, but sudo is not installed; " +
        'it is in the package sudo ("apt install sudo"). Run "tsh vnet" as root, or "tsh vnet exec -- COMMAND", which needs no root\n',
    );
    assert.equal(noSudo.code, 1);
    assert.equal(await laptop.snapshot(), before);
    assert.deepEqual(await laptop.running(), []);
  });
});
