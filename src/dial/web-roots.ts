import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import tls from "node:tls";

/** Authorities that are believed besides the system's. */
export interface WebRoots {
  /** `SSL_CERT_FILE`. */
  readonly certFile?: string | undefined;
  /** `SSL_CERT_DIR`, several separated by colons. */
  readonly certDir?: string | undefined;
}

/** All of them, in PEM. Throws where a named file cannot be read. */
export function webRoots({ certFile, certDir }: WebRoots): string[] {
  const named: string[] = [];
  if (certFile !== undefined) named.push(readFileSync(certFile, "utf8"));
  for (const dir of certDir?.split(":") ?? []) {
    for (const entry of readdirSync(dir)) {
      if (/\.(pem|crt|cer)$/.test(entry)) named.push(readFileSync(path.join(dir, entry), "utf8"));
    }
  }
  return [...named, ...tls.getCACertificates("system"), ...tls.getCACertificates("bundled")];
}
