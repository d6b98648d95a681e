import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type App,
  appProtocol,
  appSchema,
  appServerSchema,
  BadInputError,
  parseAppUri,
  parseValue,
  tcpTarget,
} from "./mod.ts";

function app(spec: object, name = "tcp-app"): unknown {
  return { kind: "app", version: "v3", metadata: { name }, spec: { uri: "tcp://localhost:5432", ...spec } };
}

function problem(value: unknown): string {
  try {
    parseValue(appSchema, value);
  } catch (error) {
    assert.ok(error instanceof BadInputError);
    return error.message;
  }
  return "";
}

test("names are DNS-1035 labels", () => {
  for (const name of ["a", "tcp-app", "a1", "a".repeat(63)]) assert.equal(problem(app({}, name)), "", name);
  for (const name of ["", "1a", "-a", "a-", "A", "a.b", "a_b", "a".repeat(64)]) {
    assert.match(problem(app({}, name)), /^metadata\.name: must be a valid DNS label/, name);
  }
});

test("public_addr", () => {
  const cases: [string, string][] = [
    ["tcp-app.company.test", ""],
    ["", ""],
    [
      "tcp-app.company.test:443",
      'public_addr "tcp-app.company.test:443" must not contain a port; apps are served on the Proxy Service\'s port',
    ],
    ["10.0.0.1", 'public_addr "10.0.0.1" must not be an IP address; VNet and TLS need a name'],
    ["[::1]", 'public_addr "[::1]" must not be an IP address; VNet and TLS need a name'],
    ["TCP.company.test", 'public_addr "TCP.company.test" must be lower case'],
    ["a.company.test.", 'public_addr "a.company.test." must be a valid DNS name without a trailing dot'],
    ["https://a.test", 'public_addr "https://a.test" must be a valid DNS name without a trailing dot'],
    ["kube.a.test", 'public_addr "kube.a.test" must not begin with the reserved "kube."'],
  ];
  for (const [value, message] of cases) {
    assert.equal(problem(app({ public_addr: value })), message === "" ? "" : `spec.public_addr: ${message}`);
  }
});

test("http_host_check", () => {
  const cases: [object, string][] = [
    [{}, ""],
    [{ mode: "off" }, ""],
    [{ allow: ["intranet", "Web.Company.test", "web.company.test."] }, ""],
    [{ mode: "no" }, "spec.http_host_check.mode: expected on or off"],
    [{ allow: ["web:80"] }, "spec.http_host_check.allow[0]: expected a host name without a port"],
    [{ allow: ["*"] }, "spec.http_host_check.allow[0]: expected a host name without a port"],
  ];
  for (const [value, message] of cases) assert.equal(problem(app({ http_host_check: value })), message);
});

test("uri and tcp_ports", () => {
  const cases: [object, string][] = [
    [{ uri: "tcp://[::1]:5432" }, ""],
    [{ uri: "http://localhost:8080/path?x=1" }, ""],
    [{ uri: "localhost:8080" }, ""],
    [{ uri: "tcp://localhost", tcp_ports: [{ port: 80 }, { port: 100, end_port: 200 }, { port: 80 }] }, ""],
    [{ uri: "http://localhost:80", tcp_ports: [{ port: 80 }] }, ""],
    [{ uri: "tcp://localhost" }, "spec.uri: a tcp:// URI needs a port, as in tcp://localhost:5432"],
    [
      { uri: "tcp://localhost:5432", tcp_ports: [{ port: 80 }] },
      "spec.uri: must not contain a port when tcp_ports is given",
    ],
    [{ uri: "tcp://localhost:99999" }, 'spec.uri: invalid URI "tcp://localhost:99999"'],
    [{ uri: "tcp://localhost:0" }, "spec.uri: port must be 1 to 65535"],
    [{ uri: "tcp://a:b@localhost:1" }, "spec.uri: must not contain a user name or password"],
    [{ uri: "tcp://localhost:1/db" }, "spec.uri: a tcp:// URI is only a host and a port"],
    [{ uri: "tcp://:5432" }, 'spec.uri: invalid URI "tcp://:5432"'],
    [{ uri: "ftp://x" }, 'spec.uri: unknown scheme "ftp"; use tcp, http or https'],
    [{ uri: "cloud://AWS" }, 'spec.uri: scheme "cloud" is not supported; use tcp, http or https'],
    [{ uri: "" }, "spec.uri: must not be empty"],
    [{ uri: "tcp://l", tcp_ports: [{ port: 0 }] }, "spec.tcp_ports[0].port: expected a port number, 1 to 65535"],
    [
      { uri: "tcp://l", tcp_ports: [{ port: 80, end_port: 80 }] },
      "spec.tcp_ports[0].end_port: end_port must be greater than port 80",
    ],
  ];
  for (const [spec, message] of cases) assert.equal(problem(app(spec)), message, JSON.stringify(spec));
});

test("HTTP features on a TCP app are accepted and inert", () => {
  const value = parseValue(
    appSchema,
    app({ rewrite: { headers: ["A: b"], redirect: ["x"] }, insecure_skip_verify: true }),
  );
  assert.equal(appProtocol(value), "tcp");
});

test("targets of single-port and multi-port apps", () => {
  const single = (app({}) as App).spec;
  assert.deepEqual(tcpTarget(single, 1234), { host: "localhost", port: 5432 });
  const multi = (app({ uri: "tcp://[::1]", tcp_ports: [{ port: 80 }, { port: 100, end_port: 102 }] }) as App).spec;
  assert.deepEqual(tcpTarget(multi, 101), { host: "::1", port: 101 });
  assert.deepEqual(tcpTarget(multi, 102), { host: "::1", port: 102 });
  assert.deepEqual(tcpTarget(multi, 0), { host: "::1", port: 80 });
  for (const port of [81, 99, 103]) assert.equal(tcpTarget(multi, port), undefined);
  assert.equal(tcpTarget((app({ uri: "http://x:1" }) as App).spec, 1), undefined);
});

test("schemes are read without case", () => {
  assert.deepEqual(parseAppUri("TCP://db.internal:5432"), { scheme: "tcp", host: "db.internal", port: 5432 });
});

test("an app_server is named after its host and app", () => {
  const server = (name: string) => ({
    kind: "app_server",
    version: "v3",
    metadata: { name },
    spec: { version: "17.7.2", hostname: "h", host_id: "u-1", app: app({}) },
  });
  assert.equal(parseValue(appServerSchema, server("u-1.tcp-app")).metadata.name, "u-1.tcp-app");
  assert.throws(
    () => parseValue(appServerSchema, server("u-2.tcp-app")),
    /metadata\.name: name must be "u-1\.tcp-app"/,
  );
});
