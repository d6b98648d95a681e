/** The public web's certificates for test hosts, made by OpenSSL: an authority, and the proxy's certificate from it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Machine } from "./hosts.ts";
import { runOk } from "./process.ts";

export interface WebPki {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

/** A new authority and one certificate for `names`. Needs "openssl". */
export async function makeWebPki(names: string[]): Promise<WebPki> {
  const cwd = mkdtempSync(join(tmpdir(), "vnet-web-pki-"));
  try {
    const request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    const days = ["-days", "30"];
    await runOk([...request, ...days, "-subj", "/CN=Test Web CA", "-keyout", "ca.key", "-out", "ca.pem"], { cwd });
    const extensions = [
      `subjectAltName=${names.map((name) => `DNS:${name}`).join(",")}`,
      "basicConstraints=critical,CA:FALSE",
      "extendedKeyUsage=serverAuth",
    ];
    await runOk(
      [
        ...[...request, ...days, "-CA", "ca.pem", "-CAkey", "ca.key", "-subj", `/CN=${names[0]}`],
        ...extensions.flatMap((extension) => ["-addext", extension]),
        ...["-keyout", "web.key", "-out", "web.pem"],
      ],
      { cwd },
    );
    const read = (file: string) => readFileSync(join(cwd, file), "utf8");
    return { caPem: read("ca.pem"), certPem: read("web.pem"), keyPem: read("web.key") };
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

/** Adds the authority to a host's system store, as the bundle and as a file of the directory. Never on this machine. */
export async function trustWebPki(host: Machine, pki: WebPki): Promise<void> {
  const certs = "/etc/ssl/certs";
  await host.execOk(["tee", "-a", `${certs}/ca-certificates.crt`], { input: pki.caPem });
  await host.execOk(["tee", `${certs}/vnet-test-ca.pem`], { input: pki.caPem });
  const hash = (await runOk(["openssl", "x509", "-noout", "-hash"], { input: pki.caPem })).trim();
  await host.execOk(["ln", "-sf", "vnet-test-ca.pem", `${certs}/${hash}.0`]);
}
