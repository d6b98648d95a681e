import { X509Certificate } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Clock } from "../../base/mod.ts";
import { selfSignedWebCert } from "../../pki/mod.ts";
import { WebCertificateError } from "../errors.ts";
import { WEB_CERT_RENEW_MS } from "../limits.ts";

export interface KeyPairFiles {
  readonly keyFile: string;
  readonly certFile: string;
}

interface WebPair {
  readonly cert: string;
  readonly key: string;
  readonly leaf: X509Certificate;
  readonly context: SecureContext;
}

/** The web certificates, chosen by server name; the first is the default. */
export class WebCertificates {
  readonly #pairs: readonly [WebPair, ...WebPair[]];

  private constructor(pairs: readonly [WebPair, ...WebPair[]]) {
    this.#pairs = pairs;
  }

  /** Throws `WebCertificateError` if any of the pairs cannot be used. */
  static async fromFiles(files: readonly [KeyPairFiles, ...KeyPairFiles[]]): Promise<WebCertificates> {
    const [first, ...others] = files;
    return new WebCertificates([await readPair(first), ...(await Promise.all(others.map(readPair)))]);
  }

  /**
   * A self-signed pair under `dataDir`, made at the first start and again when
   * it does not cover `hosts` (names or addresses) or nears its end.
   */
  static async selfSigned(dataDir: string, hosts: readonly string[], clock: Clock): Promise<WebCertificates> {
    // Teleport's names.
    const files = { keyFile: join(dataDir, "webproxy_key.pem"), certFile: join(dataDir, "webproxy_cert.pem") };
    const stored = await readPair(files).catch(() => undefined);
    if (
      stored &&
      covers(stored.leaf, hosts) &&
      stored.leaf.validToDate.getTime() > clock.wallMs() + WEB_CERT_RENEW_MS
    ) {
      return new WebCertificates([stored]);
    }
    const { certPem, keyPem } = await selfSignedWebCert(hosts, clock.wallMs());
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await replace(files.keyFile, keyPem, 0o600);
    await replace(files.certFile, certPem, 0o644);
    return new WebCertificates([pairOf(certPem, keyPem)]);
  }

  get defaultPair(): { readonly cert: string; readonly key: string } {
    return this.#pairs[0];
  }

  contextFor(serverName: string | undefined): SecureContext {
    const match = serverName && this.#pairs.find((pair) => covers(pair.leaf, [serverName]));
    return (match || this.#pairs[0]).context;
  }
}

async function readPair(files: KeyPairFiles): Promise<WebPair> {
  const read = (file: string) =>
    readFile(file, "utf8").catch((cause: unknown) => Promise.reject(new WebCertificateError(file, cause)));
  const [cert, key] = await Promise.all([read(files.certFile), read(files.keyFile)]);
  try {
    return pairOf(cert, key);
  } catch (cause) {
    throw new WebCertificateError(files.certFile, cause);
  }
}

/** `cert` may hold the chain behind the leaf. Throws where the two do not belong together. */
function pairOf(cert: string, key: string): WebPair {
  const context = createSecureContext({ cert, key, minVersion: "TLSv1.2" });
  return { cert, key, leaf: new X509Certificate(cert), context };
}

function covers(leaf: X509Certificate, hosts: readonly string[]): boolean {
  return hosts.every((host) => (isIP(host) ? leaf.checkIP(host) : leaf.checkHost(host)) !== undefined);
}

/** Whole or not at all: a start that is cut off leaves no half file. */
async function replace(file: string, text: string, mode: number): Promise<void> {
  await writeFile(`${file}.new`, text, { mode });
  await rename(`${file}.new`, file);
}
