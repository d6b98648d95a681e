/**
 * `npm run demo`: the guide in one go, on this machine, without touching its
 * routes or resolver: a cluster in one process, a PostgreSQL behind it, and
 * `psql` reaching that by its own name. Prints every command and its answer,
 * so that a newcomer can repeat it by hand. Leaves nothing behind.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Lifetime, messageOf } from "../src/base/mod.ts";
import {
  freePort,
  lacking,
  type Need,
  programPath,
  startPglite,
  startPostgres,
  Transcript,
  thisMachine,
} from "../src/testkit/mod.ts";

const ROOT = join(import.meta.dirname, "..");
const USER = "email@example.com";
const PASSWORD = "correct horse battery staple";
const ZONE = "company.test";
const APP_ADDRESS = `tcp-app.${ZONE}`;
const DEADLINE_MS = 120_000;

const demo = new Lifetime();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => end(130));
setTimeout(() => fail(new Error(`no end after ${DEADLINE_MS / 1000} s`)), DEADLINE_MS).unref();
try {
  requirePrograms(["curl", "unshare", "ip", "tun", "userns"]);
  await main();
  await end(0);
} catch (error) {
  await fail(error);
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "vnet-demo-"));
  demo.defer(() => rmSync(directory, { recursive: true, force: true }));
  const database = await startDatabase();
  const proxy = `localhost:${await freePort()}`;
  const config = { directory, proxy, authPort: await freePort(), databasePort: database.port };
  const t = openShell(directory);

  t.remark("A cluster in one process: Auth, Proxy and Application Service. The app is a PostgreSQL on this machine.");
  await t.file("teleport.yaml", teleportYaml(config));
  const first = t.background("teleport", "teleport start -c teleport.yaml");
  demo.defer(() => first.stop().then(() => {}));
  await t.until(first, `curl -sf https://${proxy}/webapi/find`);
  await t.type(`curl -s https://${proxy}/v1/webapi/find`);

  t.remark("The administrator invites a user, who sets a password at the link.");
  const invitation = await t.type(`tctl -c teleport.yaml users add --roles=access,editor ${USER}`);
  const link = /https:\S+\/web\/invite\/\S+/.exec(invitation)?.[0];
  if (link === undefined) throw new Error("the invitation has no link");
  const form = `--data-urlencode 'password=${PASSWORD}' --data-urlencode 'confirm=${PASSWORD}'`;
  await t.type(`curl -sf -o /dev/null -w '%{http_code}\\n' ${form} ${link}`);

  t.remark("The user logs in; from now on tctl uses that login too.");
  await t.type(`echo '${PASSWORD}' | tsh login --proxy=${proxy} --user=${USER}`);
  await t.type("tctl status");

  t.remark("Step 1/3. Configure custom DNS zone");
  await t.file("vnet-config.yaml", vnetConfigYaml());
  await t.type("tctl create vnet-config.yaml");

  t.remark("Step 2/3. Set public_addr of the app, and restart the teleport daemon");
  await t.file("teleport.yaml", teleportYaml({ ...config, publicAddr: APP_ADDRESS }));
  await first.stop();
  const second = t.background("teleport", "teleport start -c teleport.yaml");
  demo.defer(() => second.stop().then(() => {}));
  await t.until(second, "tsh apps ls", new RegExp(APP_ADDRESS));
  await t.type("tsh apps ls");

  t.remark("Step 3/3. Connect: the command's only network is VNet, its name server is VNet's");
  await t.type(`tsh vnet exec -- ${clientCommand()}`);

  t.remark("The audit log knows who was where, and how much was said");
  await t.type("grep -h '\"app.session' data/log/*");
}

/** The guide's psql line with a question at its end, or the same through the npm package `pg`. */
function clientCommand(): string {
  const url = `postgres://postgres@${APP_ADDRESS}/postgres`;
  const question = "select version()";
  if (programPath("psql") !== undefined) return `psql ${url} -c '${question}'`;
  return `node "${ROOT}/scripts/query.ts" ${url} '${question}'`;
}

async function startDatabase(): Promise<{ port: number }> {
  if (lacking("postgres") === undefined && lacking("setpriv") === undefined) return demo.use(await startPostgres());
  console.log("PostgreSQL is not installed (apt-get install postgresql); PGlite takes its place.");
  return demo.use(await startPglite());
}

function openShell(directory: string): Transcript {
  const own = {
    PATH: `${ROOT}/bin:$PATH`,
    TELEPORT_HOME: `${directory}/tsh`,
    // tctl shall use the login, not a cluster that this machine may have in /etc.
    TELEPORT_CONFIG_FILE: "",
    SSL_CERT_FILE: `${directory}/data/webproxy_cert.pem`,
    // Where these are set they would win over the line above, in curl.
    SSL_CERT_DIR: "",
    CURL_CA_BUNDLE: `${directory}/data/webproxy_cert.pem`,
  };
  console.log(`$ cd ${directory}`);
  for (const [name, value] of Object.entries(own)) console.log(`$ export ${name}="${value}"`);
  const env = { ...(process.env as Record<string, string>), ...own, PATH: `${ROOT}/bin:${process.env.PATH}` };
  return new Transcript({ machine: thisMachine(), env, cwd: directory, tell: (text) => process.stdout.write(text) });
}

function teleportYaml(o: {
  directory: string;
  proxy: string;
  authPort: number;
  databasePort: number;
  publicAddr?: string;
}): string {
  return `version: v3
teleport:
  nodename: demo
  data_dir: ${o.directory}/data
auth_service:
  enabled: yes
  cluster_name: teleport.example.com
  listen_addr: 127.0.0.1:${o.authPort}
  authentication:
    type: local
    second_factors: []
proxy_service:
  enabled: yes
  web_listen_addr: 127.0.0.1:${o.proxy.split(":")[1]}
  public_addr: ${o.proxy}
ssh_service:
  enabled: no
app_service:
  enabled: yes
  apps:
  - name: "tcp-app"
    uri: tcp://localhost:${o.databasePort}
${o.publicAddr === undefined ? "" : `    public_addr: "${o.publicAddr}"\n`}`;
}

function vnetConfigYaml(): string {
  return `kind: vnet_config
version: v1
metadata:
  name: vnet-config
spec:
  custom_dns_zones:
  - suffix: ${ZONE}
`;
}

function requirePrograms(needs: Need[]): void {
  const missing = needs.flatMap((need) => {
    const reason = lacking(need);
    return reason === undefined ? [] : [`${need}: ${reason}`];
  });
  if (missing.length > 0) throw new Error(`the demo cannot run here:\n  ${missing.join("\n  ")}`);
}

async function fail(error: unknown): Promise<void> {
  console.error(`\nERROR: ${messageOf(error)}`);
  await end(1);
}

async function end(code: number): Promise<void> {
  await demo.close();
  process.exit(code);
}
