import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { BadInputError } from "../api/mod.ts";
import {
  ConfigFileError,
  loadTeleportConfig,
  parseTeleportConfig,
  readClientEnvironment,
  readValue,
  type StartFlags,
} from "./mod.ts";

function parse(text: string, flags?: StartFlags) {
  return parseTeleportConfig(text, "t.yaml", flags);
}

function errorOf(text: string, flags?: StartFlags): string {
  try {
    parse(text, flags);
  } catch (error) {
    assert.ok(error instanceof BadInputError, String(error));
    return error.message;
  }
  return assert.fail("accepted");
}

test("almost nothing is needed: Auth and Proxy on, the App Service off", () => {
  assert.deepEqual(parse("version: v3\n"), {
    warnings: [],
    nodename: hostname(),
    dataDir: "/var/lib/teleport",
    pidFile: undefined,
    diagAddr: undefined,
    log: { level: "info", format: "text", output: "stderr" },
    joinToken: undefined,
    caPins: [],
    authServer: "127.0.0.1:3025",
    proxyServer: undefined,
    auth: {
      clusterName: undefined,
      listenAddr: "0.0.0.0:3025",
      publicAddrs: [],
      storagePath: "/var/lib/teleport/backend/sqlite.db",
      auditDir: "/var/lib/teleport/log",
      auditRetentionMs: undefined,
      authentication: {
        secondFactors: ["otp"],
        webauthnRpId: undefined,
        defaultSessionTtlMs: 43_200_000,
        lockingMode: undefined,
        localAuth: undefined,
        passwordless: undefined,
        requireSessionMfa: undefined,
        disconnectExpiredCert: undefined,
        fromFile: false,
      },
      staticTokens: [],
      messageOfTheDay: "",
      networking: undefined,
    },
    proxy: {
      webListenAddr: "0.0.0.0:3080",
      publicAddrs: [],
      tunnelPublicAddrs: [],
      httpsKeypairs: [],
      proxyProtocol: undefined,
    },
    app: undefined,
  });
});

test("an all-in-one file with the guide's app", () => {
  const pin = `sha256:${"ab".repeat(32)}`;
  const config = parse(`version: v3
teleport:
  nodename: host1
  data_dir: /data
  ca_pin: ["${pin}", /etc/pin]
  log: {severity: WARN, format: {output: json}, output: /var/log/t.log}
auth_service:
  enabled: "yes"
  cluster_name: teleport.example.com
  listen_addr: 127.0.0.1:0
  authentication: {type: local, second_factors: [], default_session_ttl: 8h}
  tokens: ["proxy,app:abc:def"]
  proxy_listener_mode: multiplex
proxy_service:
  enabled: on
  web_listen_addr: "[::]:443"
  public_addr: teleport.example.com:443
  tunnel_public_addr: [p1.example.com]
  https_keypairs:
  - {key_file: /k, cert_file: /c}
ssh_service: {enabled: no, labels: {a: b}}
app_service:
  enabled: YES
  apps:
  - name: "tcp-app"
    uri: tcp://localhost:5432
    public_addr: "tcp-app.company.test"
    labels: {env: dev}
    commands: [{name: os, command: [uname], period: 1m}]
    insecure_skip_verify: no
    rewrite: {headers: ["A: b"]}
    required_apps: [other]
`);
  assert.deepEqual(config.warnings, []);
  assert.deepEqual([config.nodename, config.dataDir, config.authServer], ["host1", "/data", "127.0.0.1:0"]);
  assert.deepEqual(config.caPins, [{ value: pin }, { path: "/etc/pin" }]);
  assert.deepEqual(config.log, { level: "warn", format: "json", output: { path: "/var/log/t.log" } });
  assert.deepEqual(config.auth?.authentication.secondFactors, []);
  assert.equal(config.auth?.authentication.defaultSessionTtlMs, 8 * 3_600_000);
  assert.deepEqual(config.auth?.staticTokens, [{ roles: ["Proxy", "App"], token: "abc:def" }]);
  assert.deepEqual(config.proxy, {
    webListenAddr: "[::]:443",
    publicAddrs: ["teleport.example.com:443"],
    tunnelPublicAddrs: ["p1.example.com"],
    httpsKeypairs: [{ keyFile: "/k", certFile: "/c" }],
    proxyProtocol: undefined,
  });
  assert.deepEqual(config.app?.apps[0], {
    kind: "app",
    version: "v3",
    metadata: { name: "tcp-app", labels: { env: "dev", "teleport.dev/origin": "config-file" } },
    spec: {
      uri: "tcp://localhost:5432",
      public_addr: "tcp-app.company.test",
      insecure_skip_verify: false,
      rewrite: { headers: ["A: b"] },
      dynamic_labels: [{ name: "os", command: ["uname"], period: "1m" }],
      required_app_names: ["other"],
    },
  });
});

test("the guide's agent: joined by token, everything else off", () => {
  const config = parse(`version: v3
teleport:
  join_params: {method: token, token_name: /tmp/token}
  proxy_server: teleport.example.com
auth_service: {enabled: no}
proxy_service: {enabled: no}
ssh_service: {enabled: no}
app_service:
  enabled: yes
  apps:
`);
  assert.deepEqual([config.auth, config.proxy, config.app], [undefined, undefined, { apps: [], selectors: [] }]);
  assert.deepEqual(config.joinToken, { path: "/tmp/token" });
  assert.deepEqual([config.proxyServer, config.authServer], ["teleport.example.com:3080", undefined]);
});

const AGENT = "version: v3\nauth_service: {enabled: no}\nproxy_service: {enabled: no}\napp_service: {enabled: yes}\n";

// Golden: these texts are what a person sees.
const GOLDEN: readonly [name: string, text: string, message: string][] = [
  [
    "unknown keys",
    "version: v3\nproxy_service:\n  public_adr: x\n  https_keypairs:\n  - key_file: /k\n    cert_fil: /c\nproxy_servic: {}\n",
    `t.yaml:3:3: proxy_service: unknown key "public_adr"; did you mean "public_addr"?
t.yaml:5:5: proxy_service.https_keypairs[0].cert_file: is required
t.yaml:6:5: proxy_service.https_keypairs[0]: unknown key "cert_fil"; did you mean "cert_file"?
t.yaml:7:1: unknown key "proxy_servic"; did you mean "proxy_service"?`,
  ],
  ["no version", "teleport: {}\n", 't.yaml:1:1: version: only version "v3" of teleport.yaml is supported'],
  ["old version", "version: v2\n", 't.yaml:1:10: version: only version "v3" of teleport.yaml is supported'],
  ["empty", "# nothing\n", "t.yaml: the configuration is empty"],
  ["two documents", "version: v3\n---\nversion: v3\n", "t.yaml: expected one YAML document"],
  ["not a map", "[v3]\n", "t.yaml:1:1: expected a map"],
  ["duplicate key", "version: v3\nversion: v3\n", 't.yaml:2:1: duplicate key "version"'],
  [
    "ssh_service",
    "version: v3\nssh_service: {enabled: yes}\n",
    't.yaml:2:24: ssh_service.enabled: ssh_service is not supported; write "enabled: no"',
  ],
  [
    "not a boolean",
    "version: v3\nauth_service: {enabled: maybe}\n",
    "t.yaml:2:25: auth_service.enabled: expected yes or no",
  ],
  [
    "addresses, pins, severities, durations",
    `version: v3
teleport:
  ca_pin: sha256:abc
  log: {severity: loud}
auth_service:
  listen_addr: 0.0.0.0:99999
  authentication: {default_session_ttl: 8 hours, second_factor: optional}
  tokens: ["app", "ap:x"]
proxy_service:
  public_addr: [https://x]
`,
    `t.yaml:3:11: teleport.ca_pin[0]: expected sha256: and 64 hexadecimal digits, or an absolute path to a file that holds them
t.yaml:4:19: teleport.log.severity: expected one of DEBUG, INFO, WARN, ERROR
t.yaml:6:16: auth_service.listen_addr: expected address:port such as 0.0.0.0:3025
t.yaml:7:41: auth_service.authentication.default_session_ttl: expected a duration such as 12h or 30m
t.yaml:7:65: auth_service.authentication.second_factor: expected one of off, otp, webauthn, on; or use second_factors
t.yaml:8:12: auth_service.tokens[0]: expected roles and a token, as in proxy,app:SECRET
t.yaml:8:19: auth_service.tokens[1]: unknown role "ap"; did you mean "App"?
t.yaml:10:17: proxy_service.public_addr[0]: expected a host or host:port such as teleport.example.com:443`,
  ],
  [
    "apps",
    `version: v3
app_service:
  enabled: yes
  apps:
  - name: Tcp_App
    uri: tcp://localhost
    public_addr: 10.0.0.1
  - name: a
    uri: tcp://x:1
    tcp_ports: [{port: 5}]
    http_host_check: {mode: off, allow: [intranet]}
    public_address: a.test
  - {name: b, uri: "tcp://x:1", labels: {env: 5}}
  - {name: c, uri: "tcp://x:1"}
  - {name: c, uri: "tcp://x:1"}
`,
    `t.yaml:5:11: app_service.apps[0].name: must be a valid DNS label: at most 63 lower-case letters, digits and '-', beginning with a letter and not ending with '-'
t.yaml:6:10: app_service.apps[0].uri: a tcp:// URI needs a port, as in tcp://localhost:5432
t.yaml:7:18: app_service.apps[0].public_addr: public_addr "10.0.0.1" must not be an IP address; VNet and TLS need a name
t.yaml:9:10: app_service.apps[1].uri: must not contain a port when tcp_ports is given
t.yaml:12:5: app_service.apps[1]: unknown key "public_address"; did you mean "public_addr"?
t.yaml:13:47: app_service.apps[2].labels.env: expected string: put it in quotes, as "5"`,
  ],
  [
    "two apps of one name",
    "version: v3\napp_service:\n  apps:\n  - {name: c, uri: tcp://x:1}\n  - {name: c, uri: tcp://x:1}\n",
    't.yaml:5:12: app_service.apps[1].name: the name "c" is already used by apps[0]',
  ],
  [
    "both servers",
    `${AGENT}teleport:\n  auth_server: a:3025\n  proxy_server: p:443\n`,
    `t.yaml:6:16: teleport.auth_server: app_service reaches the cluster through a proxy: use proxy_server instead of auth_server
t.yaml:7:17: teleport.proxy_server: give either auth_server or proxy_server, not both`,
  ],
  [
    "neither server",
    AGENT,
    "t.yaml:1:1: teleport: auth_server or proxy_server is required where auth_service is not enabled",
  ],
  [
    "a proxy alone",
    "version: v3\nteleport: {proxy_server: p:443}\nauth_service: {enabled: no}\n",
    "t.yaml:2:26: teleport.proxy_server: proxy_service needs Auth itself: use auth_server instead of proxy_server",
  ],
  [
    "nothing enabled",
    "version: v3\nauth_service: {enabled: no}\nproxy_service: {enabled: no}\n",
    "t.yaml:1:1: no service is enabled: enable auth_service, proxy_service or app_service",
  ],
  [
    "two ways to join",
    "version: v3\nteleport: {auth_token: x, join_params: {method: token, token_name: y}}\n",
    "t.yaml:2:24: teleport.auth_token: give either auth_token or join_params, not both",
  ],
  [
    "another join method",
    "version: v3\nteleport: {join_params: {method: iam, token_name: y}}\n",
    't.yaml:2:34: teleport.join_params.method: only method "token" is supported',
  ],
  [
    "a static token's file is missing",
    'version: v3\nauth_service: {tokens: ["app:/nonexistent/token"]}\n',
    "t.yaml:2:25: auth_service.tokens[0]: cannot read the token in /nonexistent/token: there is no such file",
  ],
];

for (const [name, text, message] of GOLDEN) {
  test(`golden: ${name}`, () => assert.equal(errorOf(text), message));
}

test("what Teleport has and we do not is a warning by name; switched off, not even that", () => {
  const config = parse(`version: v3
teleport:
  cache: {enabled: no}
  connection_limits: {max_connections: 10}
  auth_server: a.test:443
auth_service:
  session_recording: off
  authentication: {hardware_key: {pin_cache_ttl: 1h}}
proxy_service:
  acme: {}
  kube_listen_addr: 0.0.0.0:3026
app_service:
  debug_app: yes
  apps:
  - {name: a, uri: tcp://x:1, mcp: {command: x}}
db_service: {enabled: yes}
kubernetes_service: {enabled: no}
`);
  assert.deepEqual(config.warnings, [
    "t.yaml:4:22: teleport.connection_limits: this version does not have it; it has no effect",
    "t.yaml:8:34: auth_service.authentication.hardware_key: this version does not have it; it has no effect",
    "t.yaml:11:21: proxy_service.kube_listen_addr: this version does not have it; it has no effect",
    "t.yaml:13:14: app_service.debug_app: this version does not have it; it has no effect",
    "t.yaml:15:36: app_service.apps[0].mcp: this version does not have it; it has no effect",
    "t.yaml:16:13: db_service: this version does not have it; it has no effect",
    "t.yaml:5:16: teleport.auth_server: port 443 is usually a proxy's; Auth listens on 3025",
    't.yaml:13:3: app_service: it lists apps but is off; write "enabled: yes"',
  ]);
});

test("auth_service sets networking for the cluster; the listener's only mode alone sets nothing", () => {
  const networking = (keys: string) => {
    const { auth, warnings } = parse(`version: v3\nauth_service: {${keys}}\n`);
    assert.deepEqual(warnings, []);
    return JSON.parse(JSON.stringify(auth?.networking ?? null));
  };
  assert.equal(networking("proxy_listener_mode: multiplex, keep_alive_interval: 0s"), null);
  assert.deepEqual(networking("client_idle_timeout: 30m"), { client_idle_timeout: "30m" });
  assert.deepEqual(networking("client_idle_timeout: never, link_resume_window: 0, link_transports: 2"), {
    client_idle_timeout: "never",
    link_resume_window: 0,
    link_transports: 2,
  });
  assert.equal(
    errorOf("version: v3\nauth_service: {client_idle_timeout: soon}\n"),
    "t.yaml:2:37: auth_service.client_idle_timeout: expected a duration such as 30m, or never",
  );
  assert.deepEqual(parse("version: v3\nauth_service: {disconnect_expired_cert: no}\n").warnings, [
    "t.yaml:2:41: auth_service.disconnect_expired_cert: connections end with their login in this version, whatever this says",
  ]);
});

test("how long the audit log is kept, and what an old view of the locks means", () => {
  const config = parse(`version: v3
teleport:
  storage: {audit_retention_period: 720h}
auth_service:
  authentication: {locking_mode: strict}
`);
  assert.equal(config.auth?.auditRetentionMs, 30 * 24 * 3_600_000);
  assert.equal(config.auth?.authentication.lockingMode, "strict");
  assert.deepEqual(config.warnings, []);
});

test("flags win over the file and meet the same rules", () => {
  const config = parse("version: v3\nteleport: {auth_server: a:1, nodename: x}\n", {
    roles: ["app"],
    proxyServer: "p.test:443",
    token: "secret",
    nodename: "y",
    debug: true,
  });
  assert.deepEqual([config.auth, config.proxy, config.app?.apps], [undefined, undefined, []]);
  assert.deepEqual([config.proxyServer, config.authServer, config.nodename], ["p.test:443", undefined, "y"]);
  assert.deepEqual([config.joinToken, config.log.level], [{ value: "secret" }, "debug"]);
  assert.equal(
    errorOf("version: v3\n", { roles: ["apps"] }),
    '--roles: unknown role "apps"; did you mean "app"? (one of auth, proxy, app)',
  );
  assert.equal(errorOf("version: v3\n", { roles: ["node"] }), '--roles: this version does not have the role "node"');
});

test("values are read from files, trimmed", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "config-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "token");
  writeFileSync(path, "  abc\n\n");
  assert.equal(readValue({ path }, "the token"), "abc");
  assert.equal(readValue({ value: " abc " }, "the token"), "abc");
  const config = parse(`version: v3\nauth_service: {tokens: ["app:${path}"]}\n`);
  assert.equal(config.auth?.staticTokens[0]?.token, "abc");
  writeFileSync(path, "\n");
  assert.throws(() => readValue({ path }, "the token"), {
    code: "config.unreadable",
    message: `the token in ${path} is empty`,
  });
  assert.throws(() => readValue({ path: dir }, "the token"), ConfigFileError);
});

test("what a flag says wrong is the flag's fault, and not the file's", () => {
  const text = "version: v3\nteleport: {nodename: a}\n";
  assert.throws(() => parseTeleportConfig(text, "t.yaml", { caPins: ["abc"], diagAddr: "x:99999" }), {
    message: `--ca-pin: expected sha256: and 64 hexadecimal digits, or an absolute path to a file that holds them
--diag-addr: expected address:port such as 0.0.0.0:3000`,
  });
  assert.throws(() => parseTeleportConfig(`${text}auth_service: {enabled: no}\n`, "t.yaml", { nodename: "b" }), {
    message: /^t\.yaml:2:11: teleport: auth_server or proxy_server is required/,
  });
});

test("an unreadable file says what to do", async (t) => {
  await assert.rejects(loadTeleportConfig("/nonexistent/teleport.yaml"), {
    code: "config.unreadable",
    message: "cannot read the configuration file /nonexistent/teleport.yaml: there is no such file",
  });
  if (process.getuid?.() === 0) return; // root reads everything
  const dir = mkdtempSync(join(tmpdir(), "config-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "teleport.yaml");
  writeFileSync(path, "version: v3\n");
  chmodSync(path, 0);
  await assert.rejects(loadTeleportConfig(path), /permission denied; run as the file's owner or with sudo/);
});

test("the environment of tsh and tctl", () => {
  const env = readClientEnvironment({
    HOME: "/home/u",
    TELEPORT_PROXY: "p.test:443",
    TELEPORT_USER: "",
    TELEPORT_CONFIG_FILE: "",
    TELEPORT_DEBUG: "true",
    VISUAL: "code --wait",
    EDITOR: "nano",
    SSL_CERT_DIR: "/a:/b",
  });
  assert.deepEqual(
    [env.home, env.proxy, env.user, env.configFile],
    ["/home/u/.tsh", "p.test:443", undefined, undefined],
  );
  assert.deepEqual([env.debug, env.insecure, env.editor, env.sslCertDir], [true, false, "code --wait", "/a:/b"]);
  assert.deepEqual(readClientEnvironment({}).configFile, { path: "/etc/teleport.yaml", explicit: false });
  assert.deepEqual(readClientEnvironment({ TELEPORT_CONFIG_FILE: "/x" }).configFile, { path: "/x", explicit: true });
  assert.equal(readClientEnvironment({ TELEPORT_HOME: "/th", HOME: "/h" }).home, "/th");
  assert.equal(readClientEnvironment({}).editor, "vi");
});

test("app_service.resources: which of the cluster's apps an agent serves", () => {
  const file = (resources: string) => `
version: v3
teleport: { proxy_server: "p.test:443", auth_token: t }
auth_service: { enabled: no }
proxy_service: { enabled: no }
app_service: { enabled: yes, resources: ${resources} }
`;
  const selectors = (resources: string) => parseTeleportConfig(file(resources), "t.yaml").app?.selectors;
  assert.deepEqual(selectors('[{labels: {"*": "*"}}, {labels: {env: [dev, "st*"]}}]'), [
    { "*": "*" },
    { env: ["dev", "st*"] },
  ]);
  assert.deepEqual(selectors(""), []);
  assert.throws(() => selectors('[{labels: {env: "^(x$"}}]'), /labels\.env: invalid regular expression/);
  assert.throws(() => selectors("[{label: {env: dev}}]"), /unknown key "label"; did you mean "labels"/);
});

test("balancers before the proxy: off, on for whoever connects with a warning, or on for those that are named", () => {
  const proxyWith = (text: string) => parse(`version: v3\nproxy_service:\n${text}`);
  assert.equal(proxyWith("  proxy_protocol: off\n").proxy?.proxyProtocol, undefined);
  const open = proxyWith("  proxy_protocol: on\n");
  assert.deepEqual(open.proxy?.proxyProtocol, { from: [] });
  assert.match(open.warnings.join(), /name the balancers in proxy_protocol_from/);
  const named = proxyWith('  proxy_protocol: on\n  proxy_protocol_from: [10.0.0.0/8, "2001:db8::1"]\n');
  assert.equal(named.proxy?.proxyProtocol?.from.length, 2);
  assert.deepEqual(named.warnings, []);
  const wrong = "version: v3\nproxy_service:\n  proxy_protocol: on\n  proxy_protocol_from: 10.0.0.0/99\n";
  assert.match(errorOf(wrong), /expected an address or a range such as 10\.0\.0\.0\/8/);
  const alone = "version: v3\nproxy_service:\n  proxy_protocol_from: 10.0.0.0/8\n";
  assert.match(errorOf(alone), /counts only with "proxy_protocol: on"/);
});
