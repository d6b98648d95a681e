import { createPrivateKey, createPublicKey, generateKeyPair as generate, type webcrypto } from "node:crypto";
import { promisify } from "node:util";
import { type Malformed, malformed } from "../base/mod.ts";
import { MAX_CERTIFICATE_LEN } from "./limits.ts";
import { x509 } from "./x509.ts";

/** An ECDSA P-256 pair: `keyPem` is PKCS #8, `publicKeyPem` SubjectPublicKeyInfo. */
export interface KeyPair {
  readonly keyPem: string;
  readonly publicKeyPem: string;
}

const generateAsync = promisify(generate);
const PUBLIC_ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };
export const SIGNING_ALGORITHM = { name: "ECDSA", hash: "SHA-256" };

export async function generateKeyPair(): Promise<KeyPair> {
  const { privateKey, publicKey } = await generateAsync("ec", { namedCurve: "P-256" });
  return {
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicKeyPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
  };
}

/** The pair that belongs to a stored private key. */
export function keyPairOf(keyPem: string): KeyPair {
  const publicKeyPem = createPublicKey(keyPem).export({ type: "spki", format: "pem" }).toString();
  return { keyPem, publicKeyPem };
}

/** A signing request that proves possession of the key and says nothing else: Auth decides every field. */
export async function createCsr(keys: KeyPair): Promise<string> {
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: "CN=request",
    keys: { privateKey: await importPrivate(keys.keyPem), publicKey: await importPublic(keys.publicKeyPem) },
    signingAlgorithm: SIGNING_ALGORITHM,
  });
  return request.toString("pem");
}

/** The public key of a signing request whose signature is right. Only P-256 keys are taken. */
export async function publicKeyOfCsr(csrPem: string): Promise<{ publicKeyPem: string } | Malformed> {
  if (csrPem.length > MAX_CERTIFICATE_LEN) return malformed("pki.csr-too-long");
  try {
    const request = new x509.Pkcs10CertificateRequest(csrPem);
    const publicKeyPem = request.publicKey.toString("pem");
    if (createPublicKey(publicKeyPem).asymmetricKeyDetails?.namedCurve !== "prime256v1") {
      return malformed("pki.csr-algorithm");
    }
    if (!(await request.verify())) return malformed("pki.csr-signature");
    return { publicKeyPem };
  } catch {
    return malformed("pki.csr-syntax");
  }
}

export function importPrivate(keyPem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(keyPem).export({ type: "pkcs8", format: "der" });
  return crypto.subtle.importKey("pkcs8", der, PUBLIC_ALGORITHM, false, ["sign"]);
}

export function importPublic(publicKeyPem: string): Promise<webcrypto.CryptoKey> {
  const der = createPublicKey(publicKeyPem).export({ type: "spki", format: "der" });
  return crypto.subtle.importKey("spki", der, PUBLIC_ALGORITHM, true, ["verify"]);
}
