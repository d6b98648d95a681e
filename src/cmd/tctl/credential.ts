import { readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { type Logger, messageOf, OperationError } from "../../base/mod.ts";
import { connectCluster, expired, isExpired, ProfileStore, readIdentityFile } from "../../client/mod.ts";
import { type ClientEnvironment, ConfigFileError, loadTeleportConfig, type TeleportConfig } from "../../config/mod.ts";
import { RpcClient, tcpDial } from "../../rpc/mod.ts";
import { outgoing } from "../cli/outgoing.ts";
import { UsageError } from "../cli/program.ts";

/** No credential that `tctl` could use. */
export class NoCredentialError extends OperationError {
  readonly code = "tctl.no-credential";
}

export interface CredentialFlags {
  readonly identity?: string | undefined;
  readonly authServer?: string | undefined;
  readonly config?: string | undefined;
}

/**
 * Whom `tctl` acts as, in Teleport's order: an identity file, the admin
 * identity of an Auth Service configured on this host, the tsh login.
 */
export async function connectAdmin(flags: CredentialFlags, env: ClientEnvironment, log: Logger): Promise<RpcClient> {
  const identity = flags.identity ?? env.identityFile;
  if (identity !== undefined) return fromIdentityFile(identity, flags.authServer ?? env.authServer, env, log);
  const config = await localAuthConfig(flags, env);
  if (config === undefined) return fromProfile(env, log);
  try {
    return await fromDataDir(config, log);
  } catch (error) {
    if (flags.config !== undefined || !(await hasUsableProfile(env))) throw error;
    log.debug({ error: messageOf(error) }, "using the tsh login instead of this host's Auth Service");
    return fromProfile(env, log);
  }
}

/** Private key, certificate and host CAs, one after the other in PEM. */
async function fromIdentityFile(
  file: string,
  authServer: string | undefined,
  env: ClientEnvironment,
  log: Logger,
): Promise<RpcClient> {
  if (authServer === undefined) throw new UsageError("--identity needs --auth-server=HOST:PORT, of Auth or of a proxy");
  const { certPem, keyPem, hostCas } = await readIdentityFile(file);
  const servername = authServer.replace(/:\d+$/, "");
  return new RpcClient({
    dial: tcpDial(authServer, outgoing(env)),
    trust: { hostCas },
    identity: { certPem, keyPem },
    servername,
    log,
  });
}

/** The configuration that says Auth runs here, if there is one. */
async function localAuthConfig(flags: CredentialFlags, env: ClientEnvironment): Promise<TeleportConfig | undefined> {
  const file = flags.config === undefined ? env.configFile : { path: flags.config, explicit: true };
  if (file === undefined) return undefined;
  try {
    const config = await loadTeleportConfig(file.path);
    return config.auth === undefined ? undefined : config;
  } catch (error) {
    // Nobody named the file: that it is missing, or is not ours to read, is no failure.
    if (!file.explicit && error instanceof ConfigFileError) return undefined;
    throw error;
  }
}

const adminSchema = z.object({ cert: z.string(), key: z.string(), host_cas: z.array(z.string()).min(1) });

async function fromDataDir(config: TeleportConfig, log: Logger): Promise<RpcClient> {
  const file = path.join(config.dataDir, "proc", "admin.json");
  const text = await readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    const remedy =
      cause.code === "ENOENT"
        ? 'run "teleport start" first, on the host that runs Auth'
        : `run tctl as the user that runs teleport (sudo tctl), or log in with tsh and set TELEPORT_CONFIG_FILE=""`;
    throw new NoCredentialError(`the admin identity of the Auth Service, ${file}, cannot be read: ${remedy}`, {
      cause,
    });
  });
  const admin = adminOf(text);
  if (admin === undefined)
    throw new NoCredentialError(`${file} is damaged: restart "teleport start", which makes it anew`);
  return new RpcClient({
    dial: tcpDial(config.authServer!),
    trust: { hostCas: admin.host_cas },
    identity: { certPem: admin.cert, keyPem: admin.key },
    log,
  });
}

function adminOf(text: string): z.infer<typeof adminSchema> | undefined {
  try {
    return adminSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

async function hasUsableProfile(env: ClientEnvironment): Promise<boolean> {
  const profile = await new ProfileStore(env.home).current().catch(() => undefined);
  return profile !== undefined && !isExpired(profile);
}

async function fromProfile(env: ClientEnvironment, log: Logger): Promise<RpcClient> {
  const profile = await new ProfileStore(env.home).current();
  if (profile === undefined) {
    throw new NoCredentialError(
      'not logged in: log in with "tsh login --proxy=PROXY_HOST", or run tctl on the host of the Auth Service',
    );
  }
  if (isExpired(profile)) throw expired(profile);
  return connectCluster(profile, log, outgoing(env));
}
