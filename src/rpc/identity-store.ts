import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { fileFault } from "../base/mod.ts";
import { IdentityFileError } from "./errors.ts";
import { type HostCredentials, type JoinOptions, joinCluster } from "./trust.ts";

/** A host's credentials and the uuid that is in its certificate. */
export interface HostRecord extends HostCredentials {
  readonly hostId: string;
}

export type StoredRole = "Proxy" | "App";

const FORMAT_VERSION = 1;

const recordSchema = z.strictObject({
  version: z.literal(FORMAT_VERSION),
  host_id: z.uuid(),
  cluster: z.string().min(1),
  cert: z.string().min(1),
  key: z.string().min(1),
  host_cas: z.array(z.string()).min(1),
  user_cas: z.array(z.string()),
});

/** This machine's uuid, made at the first start; all roles under `dataDir` share it. */
export async function hostUuid(dataDir: string): Promise<string> {
  const file = join(dataDir, "host_uuid");
  const stored = await readIfThere(file);
  if (stored === undefined) {
    const uuid = randomUUID();
    await writeWhole(file, `${uuid}\n`);
    return uuid;
  }
  const uuid = stored.trim();
  if (!z.uuid().safeParse(uuid).success)
    throw new IdentityFileError(file, "it does not hold a uuid; remove it, and this host is a new one");
  return uuid;
}

/**
 * The host's credentials for one role: those kept under `dataDir` since it
 * joined, else by joining now. The join token is used once; afterwards it may
 * expire or go.
 */
export async function loadOrJoin(o: {
  dataDir: string;
  role: StoredRole;
  join: Omit<JoinOptions, "roles" | "hostId">;
}): Promise<HostRecord> {
  const stored = await loadIdentity(o.dataDir, o.role);
  if (stored !== undefined) return stored;
  const hostId = await hostUuid(o.dataDir);
  const record = { hostId, ...(await joinCluster({ ...o.join, roles: [o.role], hostId })) };
  await storeIdentity(o.dataDir, o.role, record);
  return record;
}

/** `undefined` where this role has never joined. Throws `IdentityFileError` on a damaged file. */
export async function loadIdentity(dataDir: string, role: StoredRole): Promise<HostRecord | undefined> {
  const file = identityFile(dataDir, role);
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  let stored: z.infer<typeof recordSchema>;
  try {
    stored = recordSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new IdentityFileError(file, "it is damaged or of another version; remove it to join again", { cause });
  }
  return {
    hostId: stored.host_id,
    cluster: stored.cluster,
    certPem: stored.cert,
    keyPem: stored.key,
    hostCas: stored.host_cas,
    userCas: stored.user_cas,
  };
}

export async function storeIdentity(dataDir: string, role: StoredRole, record: HostRecord): Promise<void> {
  const stored: z.infer<typeof recordSchema> = {
    version: FORMAT_VERSION,
    host_id: record.hostId,
    cluster: record.cluster,
    cert: record.certPem,
    key: record.keyPem,
    host_cas: [...record.hostCas],
    user_cas: [...record.userCas],
  };
  await writeWhole(identityFile(dataDir, role), `${JSON.stringify(stored, undefined, 2)}\n`);
}

function identityFile(dataDir: string, role: StoredRole): string {
  return join(dataDir, "proc", `${role.toLowerCase()}.json`);
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new IdentityFileError(file, fileFault(error), { cause: error });
  }
}

/** Whole or not at all, and on disk when it resolves: the private key exists nowhere else. */
async function writeWhole(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(`${file}.new`, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.new`, file);
}
