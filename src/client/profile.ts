import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { parseValue } from "../api/mod.ts";
import { fileFault, messageOf } from "../base/mod.ts";
import { ProfileDamagedError, ProfileFilesError } from "./errors.ts";

const profileSchema = z.strictObject({
  web_proxy_addr: z.string(),
  user: z.string(),
  cluster: z.string(),
  /** Rises with each rotation of the host CA that the old one vouched for. */
  trust_generation: z.number().int(),
});

/** One saved login. Its name is the host of the proxy, without a port. */
export interface Profile {
  readonly name: string;
  /** `host:port`. */
  readonly proxyAddress: string;
  readonly user: string;
  readonly cluster: string;
  readonly trustGeneration: number;
  readonly certPem: string;
  readonly keyPem: string;
  /** The host CAs of the root cluster, pinned at the first login. */
  readonly hostCas: readonly string[];
}

/** The directory of saved logins (`TELEPORT_HOME`, by default `~/.tsh`): directories 0700, files 0600. */
export class ProfileStore {
  readonly home: string;

  constructor(home: string) {
    this.home = home;
  }

  async current(): Promise<Profile | undefined> {
    const name = await readOptional(path.join(this.home, "current-profile"));
    return name === undefined ? undefined : this.load(name.trim());
  }

  /** The current profile first, then the others by name. */
  async all(): Promise<Profile[]> {
    const profiles = await Promise.all((await this.names()).map((name) => this.load(name)));
    return profiles.filter((profile) => profile !== undefined);
  }

  /** Of what is saved, damaged or not: the current one first. */
  async names(): Promise<string[]> {
    const entries = await readdir(this.home).catch(() => [] as string[]);
    const current = (await readOptional(path.join(this.home, "current-profile")))?.trim();
    const names = entries.filter((entry) => entry.endsWith(".yaml")).map((entry) => entry.slice(0, -".yaml".length));
    return names.sort((a, b) => Number(b === current) - Number(a === current) || a.localeCompare(b));
  }

  async load(name: string): Promise<Profile | undefined> {
    const file = this.#profileFile(name);
    const text = await readOptional(file);
    if (text === undefined) return undefined;
    try {
      const fields = parseValue(profileSchema, parse(text));
      const keys = this.#keysDir(name);
      const stem = fileStem(fields.user);
      return {
        name,
        proxyAddress: fields.web_proxy_addr,
        user: fields.user,
        cluster: fields.cluster,
        trustGeneration: fields.trust_generation,
        certPem: await readFile(path.join(keys, `${stem}.crt`), "utf8"),
        keyPem: await readFile(path.join(keys, `${stem}.key`), "utf8"),
        hostCas: splitPem(await readFile(path.join(keys, "cas", `${fields.cluster}.pem`), "utf8")),
      };
    } catch (error) {
      throw new ProfileDamagedError(
        `the saved login ${file} cannot be read: ${placeAndFault(error)}; log in again with "tsh login --proxy=${name}"`,
        { cause: error },
      );
    }
  }

  /** Saves the profile and makes it the current one. */
  async save(profile: Profile): Promise<void> {
    await this.#write(profile).catch((cause: unknown) => {
      throw new ProfileFilesError(`the login cannot be saved in ${this.home}: ${placeAndFault(cause, "write")}`, {
        cause,
      });
    });
  }

  async #write(profile: Profile): Promise<void> {
    const keys = this.#keysDir(profile.name);
    const stem = fileStem(profile.user);
    await mkdir(path.join(keys, "cas"), { recursive: true, mode: 0o700 });
    await chmod(this.home, 0o700);
    await replaceFile(path.join(keys, `${stem}.key`), profile.keyPem);
    await replaceFile(path.join(keys, `${stem}.crt`), profile.certPem);
    await replaceFile(path.join(keys, "cas", `${profile.cluster}.pem`), profile.hostCas.join("\n"));
    const fields: z.infer<typeof profileSchema> = {
      web_proxy_addr: profile.proxyAddress,
      user: profile.user,
      cluster: profile.cluster,
      trust_generation: profile.trustGeneration,
    };
    await replaceFile(this.#profileFile(profile.name), stringify(fields));
    await this.select(profile.name);
  }

  async select(name: string): Promise<void> {
    await replaceFile(path.join(this.home, "current-profile"), `${name}\n`);
  }

  /** Forgets certificates and profile; another profile is not made current. */
  async remove(name: string): Promise<void> {
    await rm(this.#keysDir(name), { recursive: true, force: true });
    await rm(this.#profileFile(name), { force: true });
    const current = await readOptional(path.join(this.home, "current-profile"));
    if (current?.trim() === name) await rm(path.join(this.home, "current-profile"), { force: true });
  }

  /** Where `tsh apps login` puts an app's certificate and key. */
  async saveAppCredential(
    profile: Profile,
    app: string,
    pem: { certPem: string; keyPem: string },
  ): Promise<{ cert: string; key: string }> {
    const dir = path.join(this.#keysDir(profile.name), `${fileStem(profile.user)}-app`, profile.cluster);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const files = { cert: path.join(dir, `${app}.crt`), key: path.join(dir, `${app}.key`) };
    await replaceFile(files.key, pem.keyPem);
    await replaceFile(files.cert, pem.certPem);
    return files;
  }

  /** Where what was last seen of the profile's cluster is kept; gone with the keys after a logout. */
  lastViewFile(profile: Profile): string {
    return path.join(this.#keysDir(profile.name), `${fileStem(profile.user)}-vnet.json`);
  }

  #profileFile(name: string): string {
    return path.join(this.home, `${fileStem(name)}.yaml`);
  }

  #keysDir(name: string): string {
    return path.join(this.home, "keys", fileStem(name));
  }
}

/** User names hold `@` and `.` and are used as they are; a path separator is not. */
function fileStem(name: string): string {
  return name.replace(/[/\\\0]/g, "_");
}

export function splitPem(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----\n?/g) ?? [];
}

async function readOptional(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new ProfileFilesError(`the saved logins cannot be read: ${placeAndFault(error)}`, { cause: error });
  }
}

/** `FILE: permission denied`; of what is no file's fault, its own words. */
function placeAndFault(error: unknown, doing: "read" | "write" = "read"): string {
  const { path: file } = error as NodeJS.ErrnoException;
  return file === undefined ? messageOf(error) : `${file}: ${fileFault(error, doing)}`;
}

/** Readers see the old file or the new one, never a part. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.new`;
  await writeFile(temporary, text, { mode: 0o600 });
  await rename(temporary, file);
}
