import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { type Cidr, createLogger, parseCidr } from "../base/mod.ts";
import { createCsr, generateKeyPair } from "../pki/mod.ts";
import { RpcClient, tcpDial } from "../rpc/mod.ts";
import { startTestCluster, TEST_CLUSTER, type TestCluster, Witness } from "../testkit/mod.ts";
import { balancerCheck } from "./balancers.ts";

const PASSWORD = "correct horse battery";
const range = (text: string) => parseCidr(text) as Cidr;
/** 203.0.113.7:40000 to 10.0.0.1:443. */
const V2 = Buffer.from("0d0a0d0a000d0a515549540a2111000ccb0071070a0000019c4001bb", "hex");
const V1 = Buffer.from("PROXY TCP4 203.0.113.8 10.0.0.1 40001 443\r\n");

test("balancers are those that are named, or all but this machine", () => {
  assert.equal(balancerCheck(undefined)("10.0.0.1"), false);
  assert.equal(balancerCheck({ from: [] })("10.0.0.1"), true);
  for (const own of ["127.0.0.1", "::ffff:127.0.0.1", "::1"])
    assert.equal(balancerCheck({ from: [] })(own), false, own);
  const named = balancerCheck({ from: [range("10.0.0.0/8"), range("2001:db8::/32")] });
  for (const address of ["10.9.9.9", "::ffff:10.9.9.9", "2001:db8::9"]) assert.equal(named(address), true, address);
  for (const address of ["11.0.0.1", "::ffff:11.0.0.1", "2001:db9::1", ""])
    assert.equal(named(address), false, address);
});

/** Leads to the cluster's proxy from 127.0.0.2, with this before the client's octets. */
async function balance(t: TestContext, cluster: TestCluster, header: Buffer): Promise<string> {
  const server = createServer((client) => {
    const upstream = connect({ host: "127.0.0.1", port: cluster.proxy.port, localAddress: "127.0.0.2" });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on("error", () => {});
      one.once("close", () => other.destroy());
    }
    upstream.write(header);
    client.pipe(upstream).pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("behind a balancer the client's own address is what logins and connections are recorded with", async (t) => {
  await using cluster = await startTestCluster({ proxyProtocol: { from: [range("127.0.0.2/32")] } });
  await cluster.createUser("alice", PASSWORD); // Straight, as agents come too: without a header.
  await using straight = cluster.anonymous();
  const { host_cas: hostCas } = await straight.call("cluster.trust", {});
  for (const [header, address] of [
    [V2, "203.0.113.7:40000"],
    [V1, "203.0.113.8:40001"],
  ] as const) {
    const balancer = await balance(t, cluster, header);
    const trust = { cluster: TEST_CLUSTER, hostCas };
    await using anonymous = new RpcClient({ dial: tcpDial(balancer), trust, servername: "localhost" });
    const csr = await createCsr(await generateKeyPair());
    await anonymous.call("login.password", { user: "alice", password: PASSWORD, csr });
    const [login] = (await cluster.auditEvents(["user.login"])).slice(-1);
    assert.equal(login?.["addr.remote"], address);

    const alice = await cluster.login("alice", PASSWORD);
    const { session } = await cluster.appSession(alice, "echo");
    await alice.client.close();
    const { link } = await cluster.dialLink(session, { proxies: [balancer] });
    await new Witness(await link.open(0)).finish();
    link.close("done");
    const host = address.split(":")[0];
    const found = async () =>
      (await cluster.auditEvents(["app.session.start"])).some((event) => event["addr.remote"] === host);
    while (!(await found())) await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

test("a header that nobody expects is refused, and the log says which setting would take it", async (t) => {
  const lines: string[] = [];
  const log = createLogger({ level: "warn", format: "json", write: (line) => void lines.push(line) });
  await using cluster = await startTestCluster({ log });
  const balancer = await balance(t, cluster, V2);
  for (let i = 1; i <= 3; i++) {
    const socket = connect({ host: "127.0.0.1", port: Number(balancer.split(":")[1]) }).on("error", () => {});
    await once(socket, "close");
    assert.equal(cluster.proxy.counters.get("dispatch.proxy-header"), i);
  }
  const said = lines.filter((line) => line.includes("proxy_service.proxy_protocol"));
  assert.equal(said.length, 1, "once for each address");
});

test("a balancer's connection without a header is refused", async (t) => {
  await using cluster = await startTestCluster({ proxyProtocol: { from: [range("127.0.0.2/32")] } });
  const socket = connect({ host: "127.0.0.1", port: cluster.proxy.port, localAddress: "127.0.0.2" });
  t.after(() => socket.destroy());
  socket.on("error", () => {});
  socket.write(Buffer.from("160301", "hex"));
  await once(socket, "close");
  assert.equal(cluster.proxy.counters.get("proxy-header.absent"), 1);
});
