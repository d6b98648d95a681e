import { readFile } from "node:fs/promises";
import { fileFault, isMalformed } from "../base/mod.ts";
import { identityOf } from "../pki/mod.ts";
import { IdentityUnusableError } from "./errors.ts";
import { type Profile, ProfileStore, splitPem } from "./profile.ts";
import { splitHostPort } from "./web.ts";

/** What `tctl auth sign --format=file` writes: a private key, its certificate, the host CAs. */
export interface IdentityFile {
  readonly keyPem: string;
  readonly certPem: string;
  readonly hostCas: readonly string[];
}

export async function readIdentityFile(file: string): Promise<IdentityFile> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new IdentityUnusableError(`the identity file ${file} cannot be read: ${fileFault(cause)}`, { cause });
  });
  const keyPem = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+?-----END [A-Z ]*PRIVATE KEY-----/.exec(text)?.[0];
  const [certPem, ...hostCas] = splitPem(text);
  if (keyPem === undefined || certPem === undefined || hostCas.length === 0) {
    throw new IdentityUnusableError(
      `${file} is not an identity file: expected a private key, a certificate and the host CAs in PEM`,
    );
  }
  return { keyPem, certPem, hostCas };
}

/** The file's content as `readIdentityFile` reads it. */
export function identityFileText({ keyPem, certPem, hostCas }: IdentityFile): string {
  return [keyPem, certPem, ...hostCas].map((pem) => `${pem.trim()}\n`).join("");
}

/** A login that a file gives, in place of the saved ones: it is read anew each time, and nothing is saved. */
export class IdentityFileStore extends ProfileStore {
  readonly #file: string;
  readonly #proxyAddress: string;

  /** `proxyAddress`: `host:port`. `home`: for what is remembered besides logins. */
  constructor(home: string, file: string, proxyAddress: string) {
    super(home);
    this.#file = file;
    this.#proxyAddress = proxyAddress;
  }

  override current(): Promise<Profile> {
    return this.load();
  }

  override async names(): Promise<string[]> {
    return [splitHostPort(this.#proxyAddress).host];
  }

  override async load(): Promise<Profile> {
    const { keyPem, certPem, hostCas } = await readIdentityFile(this.#file);
    const identity = identityOf(certPem);
    if (isMalformed(identity) || identity.kind !== "user") {
      throw new IdentityUnusableError(`${this.#file} is not a user's identity: tctl auth sign --user makes one`);
    }
    if (identity.expires <= Date.now()) {
      throw new IdentityUnusableError(
        `the identity in ${this.#file} expired at ${new Date(identity.expires).toISOString()}: make a new one with tctl auth sign`,
      );
    }
    const { host } = splitHostPort(this.#proxyAddress);
    return {
      name: host,
      proxyAddress: this.#proxyAddress,
      user: identity.user,
      cluster: identity.cluster,
      trustGeneration: 0,
      certPem,
      keyPem,
      hostCas,
    };
  }

  override async save(): Promise<void> {
    throw new IdentityUnusableError("with --identity nothing is saved: log in without it");
  }
}
