/** Real clients of several kinds, many at once and much at once, through VNet on four hosts. */
import assert from "node:assert/strict";
import test from "node:test";
import { needs } from "../../src/testkit/mod.ts";
import { bulkCommand, SERVICES_NEEDS, type Services, startServices, WEB_PORT } from "./services.ts";

const URL = "postgres://postgres@tcp-app.company.test/postgres";
/** `npm run proof -- transfer` moves 1 GiB; this only shows that nothing is lost. */
const BULK_OCTETS = 64 * 1024 * 1024;
const SESSIONS = 200;

test("weight", needs(...SERVICES_NEEDS), async (t) => {
  await using services = await startServices();
  const { alice, hosts } = services.cluster;

  await t.test("redis-cli", async () => {
    assert.equal(await alice.type("redis-cli -h redis.company.test set answer 42"), "OK\n");
    assert.equal(await alice.type("redis-cli -h redis.company.test get answer"), "42\n");
  });

  await t.test("ssh", async () => {
    const ssh = "ssh -F none -i key -o UserKnownHostsFile=known_hosts root@ssh.company.test";
    assert.equal(await alice.type(`${ssh} hostname`), "db\n");
    assert.match(await alice.type(`head -c 3000000 /dev/zero | ${ssh} wc -c`), /^3000000$/m);
    await alice.type(`${ssh} exit 7`, { code: 7 });
  });

  await t.test("curl", async () => {
    const output = await alice.type(`curl -sS http://web.company.test:${WEB_PORT}/`);
    assert.equal(output, `hello from web.company.test:${WEB_PORT}`);
  });

  await t.test("a client that closes its half first gets the whole answer", async () => {
    const output = await alice.type("(echo TAKE; head -c 5000000 /dev/zero) | nc -N bulk.company.test 7000");
    assert.match(output, /^5000000 [0-9a-f]{64}$/m);
  });

  for (const direction of ["send", "fetch"] as const) {
    await t.test(`bulk, ${direction}: hashes agree, the TUN's counters and the audit log too`, () =>
      bulk(services, direction),
    );
  }

  await t.test(`${SESSIONS} psql sessions at once`, async () => {
    const query = "select pg_sleep(6), host(inet_client_addr())";
    const script = `for i in $(seq ${SESSIONS}); do psql ${URL} -Atc "${query}" & done; wait`;
    const output = alice.type(script, { timeoutMs: 120_000 });
    let most = 0;
    const poll = async () => {
      const count = "select count(*) from pg_stat_activity where query like 'select pg_sleep%'";
      const args = ["psql", "-h", "10.77.0.40", "-U", "postgres", "-Atc", `${count} and pid <> pg_backend_pid()`];
      most = Math.max(most, Number(await hosts.agent.execOk(args)));
    };
    let done = false;
    const watching = (async () => {
      while (!done) await poll();
    })();
    const lines = (await output).trim().split("\n");
    done = true;
    await watching;
    assert.deepEqual(lines, new Array(SESSIONS).fill("|10.77.0.30"));
    assert.equal(most, SESSIONS, "all at the same time");
  });

  await t.test("pgbench -c 20 -T 10", async () => {
    const at = "-h tcp-app.company.test -U postgres postgres";
    await alice.type(`pgbench -q -i ${at}`);
    const output = await alice.type(`pgbench -c 20 -T 10 ${at}`);
    assert.match(output, /number of failed transactions: 0 /);
    assert.match(output, /number of clients: 20/);
  });
});

async function bulk(services: Services, direction: "send" | "fetch"): Promise<void> {
  const { alice } = services.cluster;
  const before = await tunCounters(services);
  const { sha256 } = JSON.parse(await alice.type(bulkCommand(direction, BULK_OCTETS))) as { sha256: string };
  assert.match(sha256, /^[0-9a-f]{64}$/); // bulk.ts has compared it with the other end's
  const after = await tunCounters(services);
  const [payload, counted] =
    direction === "send"
      ? (["bytes_in", after.sent - before.sent] as const)
      : (["bytes_out", after.received - before.received] as const);
  const end = await auditEnd(services, payload);
  const inAudit = Number(end[payload]);
  assert.ok(inAudit >= BULK_OCTETS && inAudit < BULK_OCTETS + 100, `audit: ${inAudit}`);
  // Headers of super-segments cost well below 1 %, of single segments 4 %; what is lost is sent again.
  assert.ok(counted > inAudit && counted < inAudit * 1.06, `TUN ${counted}, audit ${inAudit}`);
}

/** The newest end of a stream to the bulk app that carried this much; the record comes a moment after the end. */
async function auditEnd(services: Services, field: string): Promise<Record<string, unknown>> {
  for (let tries = 0; tries < 100; tries++) {
    const ends = await services.cluster.audit("app.session.end");
    const end = ends.findLast((event) => event.app_name === "bulk" && Number(event[field]) >= BULK_OCTETS);
    if (end !== undefined) return end;
  }
  throw new Error("no app.session.end of the transfer");
}

/** Octets that the host's programs sent into the TUN, and got from it. */
async function tunCounters(services: Services): Promise<{ sent: number; received: number }> {
  const text = await services.cluster.hosts.laptop.execOk(["ip", "-j", "-s", "-d", "link"]);
  const links = JSON.parse(text) as Array<{
    linkinfo?: { info_kind?: string };
    stats64: { rx: { bytes: number }; tx: { bytes: number } };
  }>;
  const tun = links.find((link) => link.linkinfo?.info_kind === "tun");
  assert.ok(tun, "no TUN on the laptop");
  return { sent: tun.stats64.tx.bytes, received: tun.stats64.rx.bytes };
}
