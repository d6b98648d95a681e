import assert from "node:assert/strict";
import test from "node:test";
import { startHosts } from "./hosts.ts";
import { needs } from "./needs.ts";
import { makeWebPki, trustWebPki } from "./web-pki.ts";

test(
  "a host that trusts the authority believes the proxy, another does not",
  needs("root", "tun", "ip", "openssl", "curl"),
  async () => {
    await using hosts = await startHosts();
    const { laptop, proxy, agent } = hosts;
    const pki = await makeWebPki(["teleport.example.com", "*.teleport.example.com"]);
    await trustWebPki(laptop, pki);
    const store = "cat >/root/web.pem && exec openssl s_server -quiet -www -accept 443 -cert /root/web.pem";
    const server = proxy.spawn("web", ["sh", "-c", store], { input: pki.certPem + pki.keyPem });
    const curl = ["curl", "-sS", "-o", "/dev/null", "--retry", "20", "--retry-connrefused", "--retry-delay", "1"];
    for (const name of ["teleport.example.com", "tcp-app.teleport.example.com"]) {
      await laptop.execOk([...curl, `https://${name}/`]);
    }
    assert.match((await agent.exec([...curl, "https://teleport.example.com/"])).stderr, /certificate/);
    const script = `console.log(require("node:tls").getCACertificates("system").includes(${JSON.stringify(pki.caPem)}))`;
    assert.equal(await laptop.execOk([process.execPath, "-e", script]), "true\n");
    assert.ok(server.running);
  },
);
