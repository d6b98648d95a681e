/** What a cluster on loopback is made of: its files, an app that echoes, a form that is sent. */
import { once } from "node:events";
import { request } from "node:https";
import { type AddressInfo, createServer } from "node:net";
import type { Lifetime } from "../../src/base/mod.ts";

export interface AppSpec {
  readonly name: string;
  readonly uri: string;
}

export const ZONE = "company.test";
export function zoneYaml(zone: string): string {
  return `kind: vnet_config
version: v1
metadata:
  name: vnet-config
spec:
  custom_dns_zones:
  - suffix: ${zone}
`;
}

/** Auth and Proxy. */
export function teleportYaml(o: {
  clusterName: string;
  directory: string;
  authPort: number;
  proxyPort: number;
  proxy: string;
}): string {
  return `version: v3
teleport:
  nodename: demo
  data_dir: ${o.directory}/data
auth_service:
  enabled: yes
  cluster_name: ${o.clusterName}
  listen_addr: 127.0.0.1:${o.authPort}
  authentication:
    type: local
    second_factors: []
proxy_service:
  enabled: yes
  web_listen_addr: 127.0.0.1:${o.proxyPort}
  public_addr: ${o.proxy}
ssh_service:
  enabled: no
`;
}

/** A host that joins; its services follow. */
export function agentYaml(o: { name: string; directory: string; proxy: string; token: string; pin: string }): string {
  return `version: v3
teleport:
  nodename: ${o.name}
  data_dir: ${o.directory}/${o.name}-data
  proxy_server: ${o.proxy}
  auth_token: ${o.token}
  ca_pin: ${o.pin}
auth_service:
  enabled: no
proxy_service:
  enabled: no
`;
}

export function appService(apps: readonly AppSpec[], zone = ZONE): string {
  const entries = apps.map(({ name, uri }) => `  - name: ${name}\n    uri: ${uri}\n    public_addr: ${name}.${zone}\n`);
  return `app_service:\n  enabled: yes\n  apps:\n${entries.join("")}`;
}

/** A TCP server that sends back what it gets; answers its port. */
export async function startEcho(life: Lifetime): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  life.defer(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Sends a form; answers the status. */
export function post(url: string, body: string, ca: Buffer): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const sent = request(url, { method: "POST", ca, agent: false, headers }, (response) => {
      response.resume().on("end", () => resolve(response.statusCode));
    });
    sent.on("error", reject).end(body);
  });
}

/** The text of a page. */
export function get(url: string, ca: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { ca, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve(text));
    });
    sent.on("error", reject).end();
  });
}
