import { BadInputError, parseHostPort } from "../api/mod.ts";
import { DEFAULT_DATA_DIR } from "./schema.ts";

/** Flags of `teleport configure`. */
export interface StartingFileOptions {
  readonly clusterName?: string | undefined;
  readonly nodeName?: string | undefined;
  readonly dataDir?: string | undefined;
  /** `auth`, `proxy`, `app`; by default the first two, and the third where an app is given. */
  readonly roles?: readonly string[] | undefined;
  /** `host` or `host:port`; without a port 443. */
  readonly publicAddr?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly token?: string | undefined;
  readonly caPins?: readonly string[] | undefined;
  /** What a service without Auth joins through: one of the two. */
  readonly authServer?: string | undefined;
  readonly proxyServer?: string | undefined;
  readonly appName?: string | undefined;
  readonly appUri?: string | undefined;
}

const ROLES = ["auth", "proxy", "app"];
const PUBLIC_PORT = 443;

/** A teleport.yaml to begin with, its comments included. Throws `BadInputError` where flags contradict each other. */
export function startingFile(o: StartingFileOptions): string {
  checkFlags(o);
  const roles = rolesOf(o);
  return [...header(), ...instance(o, roles), ...auth(o, roles), ...proxy(o, roles), ...app(o, roles), ...ssh()]
    .join("\n")
    .concat("\n");
}

function rolesOf({ roles, appName }: StartingFileOptions): readonly string[] {
  const wanted = roles ?? ["auth", "proxy"];
  return appName === undefined || wanted.includes("app") ? wanted : [...wanted, "app"];
}

function checkFlags(o: StartingFileOptions): void {
  const roles = rolesOf(o);
  const unknown = roles.find((role) => !ROLES.includes(role));
  const joins = o.authServer !== undefined || o.proxyServer !== undefined;
  const faults: [string, boolean][] = [
    [`--roles: there is no role "${unknown}" (one of ${ROLES.join(", ")})`, unknown !== undefined],
    ["--cert-file and --key-file belong together", (o.certFile === undefined) !== (o.keyFile === undefined)],
    ["--app-name and --app-uri belong together", (o.appName === undefined) !== (o.appUri === undefined)],
    ["give either --auth-server or --proxy, not both", o.authServer !== undefined && o.proxyServer !== undefined],
    [
      "services without Auth join a cluster: say where by --proxy, or for a proxy by --auth-server",
      !roles.includes("auth") && !joins,
    ],
    [
      "--public-addr: expected a host or host:port such as teleport.example.com:443",
      o.publicAddr !== undefined && parseHostPort(o.publicAddr) === undefined,
    ],
  ];
  const [fault] = faults.find(([, wrong]) => wrong) ?? [];
  if (fault !== undefined) throw new BadInputError(fault);
}

function header(): string[] {
  return [
    "#",
    "# A configuration to begin with, made by `teleport configure`.",
    "# A key that is not known is an error, with its line and the nearest key that is. To check a file without",
    "# starting anything: teleport configure --test FILE",
    "#",
    "version: v3",
  ];
}

function instance(o: StartingFileOptions, roles: readonly string[]): string[] {
  const lines = ["teleport:"];
  if (o.nodeName !== undefined) lines.push("  # The name of this host.", `  nodename: ${text(o.nodeName)}`);
  lines.push("  # Where this host keeps its state. Only its owner may read it.");
  lines.push(`  data_dir: ${text(o.dataDir ?? DEFAULT_DATA_DIR)}`);
  if (!roles.includes("auth")) {
    lines.push("  # The cluster that the services of this host join.");
    if (o.proxyServer !== undefined) lines.push(`  proxy_server: ${text(o.proxyServer)}`);
    if (o.authServer !== undefined) lines.push(`  auth_server: ${text(o.authServer)}`);
    lines.push(
      "  # From `tctl tokens add`: the token, or the absolute path of a file with it. Needed at the first start.",
    );
    lines.push(o.token === undefined ? "  # auth_token: /var/lib/teleport/token" : `  auth_token: ${text(o.token)}`);
    lines.push("  # What `tctl status` prints: whom to believe at the first start.");
    if (o.caPins?.length) lines.push("  ca_pin:", ...o.caPins.map((pin) => `    - ${text(pin)}`));
    else lines.push('  # ca_pin: "sha256:…"');
  }
  lines.push(
    "  log:",
    "    # stderr, stdout, or the absolute path of a file",
    "    output: stderr",
    "    # DEBUG, INFO, WARN or ERROR",
    "    severity: INFO",
    "    format:",
    "      # text or json",
    "      output: text",
    "  # /healthz, /readyz and Prometheus /metrics. For this machine only: nobody is asked who they are.",
    "  # diag_addr: 127.0.0.1:3000",
  );
  return lines;
}

function auth(o: StartingFileOptions, roles: readonly string[]): string[] {
  if (!roles.includes("auth")) return ["", "auth_service:", "  enabled: no"];
  return [
    "",
    "# Users, roles, certificates, the audit log.",
    "auth_service:",
    "  enabled: yes",
    "  listen_addr: 0.0.0.0:3025",
    "  # Counts at the first start, and never changes.",
    o.clusterName === undefined ? "  # cluster_name: teleport.example.com" : `  cluster_name: ${text(o.clusterName)}`,
    "  # authentication:",
    "  #   second_factors: [otp, webauthn]",
    "  #   webauthn:",
    "  #     rp_id: teleport.example.com",
    "  # A connection to an app without an octet for so long ends. Without this line: never, or what",
    "  # `tctl edit cluster_networking_config` says.",
    "  # client_idle_timeout: 30m",
  ];
}

function proxy(o: StartingFileOptions, roles: readonly string[]): string[] {
  if (!roles.includes("proxy")) return ["", "proxy_service:", "  enabled: no"];
  const address = o.publicAddr === undefined ? undefined : parseHostPort(o.publicAddr);
  const port = address?.port ?? PUBLIC_PORT;
  const lines = ["", "# The one port that users and agents connect to.", "proxy_service:", "  enabled: yes"];
  if (address === undefined) {
    lines.push("  web_listen_addr: 0.0.0.0:3080", "  # public_addr: teleport.example.com:443");
  } else {
    lines.push(`  web_listen_addr: 0.0.0.0:${port}`, `  public_addr: ${text(`${address.host}:${port}`)}`);
  }
  if (o.certFile !== undefined && o.keyFile !== undefined) {
    lines.push("  https_keypairs:", `    - cert_file: ${text(o.certFile)}`, `      key_file: ${text(o.keyFile)}`);
  } else {
    lines.push(
      "  # Without these the proxy makes a certificate of its own, which browsers and clients do not trust.",
      "  # https_keypairs:",
      "  #   - cert_file: /etc/teleport/fullchain.pem",
      "  #     key_file: /etc/teleport/privkey.pem",
    );
  }
  return lines;
}

function app(o: StartingFileOptions, roles: readonly string[]): string[] {
  if (!roles.includes("app")) return ["", "app_service:", "  enabled: no"];
  const lines = ["", "# The apps that this host serves.", "app_service:", "  enabled: yes"];
  if (o.appName !== undefined && o.appUri !== undefined) {
    lines.push("  apps:", `    - name: ${text(o.appName)}`, `      uri: ${text(o.appUri)}`);
    lines.push("      # public_addr: tcp-app.company.test", "      # labels:", "      #   env: dev");
  } else {
    lines.push("  # apps:", "  #   - name: tcp-app", "  #     uri: tcp://localhost:5432");
    lines.push("  #     public_addr: tcp-app.company.test");
  }
  lines.push(
    "  # And those that an administrator creates (tctl create) with these labels.",
    "  # resources:",
    "  #   - labels:",
    '  #       "*": "*"',
  );
  return lines;
}

function ssh(): string[] {
  return ["", "ssh_service:", "  enabled: no"];
}

/** As YAML takes it, whatever is in it. */
function text(value: string): string {
  return /^[A-Za-z0-9/][A-Za-z0-9/._:-]*$/.test(value) && !/:$|^(yes|no|true|false|on|off|null|\d[\d.]*)$/i.test(value)
    ? value
    : JSON.stringify(value);
}
