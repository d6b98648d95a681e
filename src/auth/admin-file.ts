import { chmod, mkdir, open, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { generateKeyPair, issueAdminCert } from "../pki/mod.ts";
import type { Core } from "./core.ts";

/** The administrator's identity on the Auth host, below the data directory. */
export const ADMIN_FILE = join("proc", "admin.json");

/** Written anew at each start, 0600: whoever may read it may do everything, as with `data_dir` itself. */
export async function writeAdminFile(core: Core, dataDir: string, authAddress: string): Promise<void> {
  const { cluster, host } = core.authorities;
  const keys = await generateKeyPair();
  const { publicKeyPem } = keys;
  const cert = await issueAdminCert({ ca: host, cluster, publicKeyPem, now: core.clock.wallMs() });
  const content = {
    version: 1,
    cluster,
    auth_addr: authAddress,
    cert,
    key: keys.keyPem,
    host_cas: core.authorities.trusted("host"),
  };
  await writePrivate(join(dataDir, ADMIN_FILE), `${JSON.stringify(content, undefined, 2)}\n`);
}

/** Whole or not at all. */
async function writePrivate(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(`${file}.new`, "w", 0o600);
  try {
    await handle.chmod(0o600); // An old half-written file may have another mode.
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.new`, file);
  await chmod(dirname(file), 0o700);
}
