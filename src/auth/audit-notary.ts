import { generateKeyPairSync, sign, verify } from "node:crypto";
import { z } from "zod";
import type { Head, Notary } from "../audit/mod.ts";
import { type Backend, KeyExistsError } from "../storage/mod.ts";
import { Documents, versioned } from "./documents.ts";
import { StoredStateError } from "./errors.ts";

const keySchema = versioned({ private_key: z.string(), public_key: z.string() });
const headSchema = versioned({ seq: z.int().min(0), hash: z.string() });

/** Signs for the audit log with a key that exists in storage only: whoever can write the log's files cannot forge it. */
export async function openNotary(backend: Backend): Promise<Notary> {
  const keys = new Documents(backend, "audit_key", keySchema);
  const heads = new Documents(backend, "audit_head", headSchema);
  const { private_key, public_key } = await loadOrCreate(keys);
  return {
    sign: (text) => sign(null, Buffer.from(text), private_key).toString("base64"),
    verify: (text, signature) => verify(null, Buffer.from(text), public_key, Buffer.from(signature, "base64")),
    async savedHead(): Promise<Head | undefined> {
      const stored = (await heads.get("log"))?.value;
      return stored && { seq: stored.seq, hash: stored.hash };
    },
    async saveHead({ seq, hash }) {
      await heads.put(["log"], { v: 1, seq, hash });
    },
  };
}

async function loadOrCreate(keys: Documents<typeof keySchema>): Promise<z.infer<typeof keySchema>> {
  const stored = (await keys.get("log"))?.value;
  if (stored !== undefined) return stored;
  const { privateKey, publicKey } = generateKeyPairSync("ed25519", {
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  const made = { v: 1 as const, private_key: privateKey, public_key: publicKey };
  try {
    await keys.create(["log"], made);
    return made;
  } catch (error) {
    if (!(error instanceof KeyExistsError)) throw error;
    const theirs = (await keys.get("log"))?.value;
    if (theirs === undefined) throw new StoredStateError("audit key");
    return theirs;
  }
}
