import { createHash, randomUUID } from "node:crypto";
import { z } from "zod";
import { AlreadyExistsError, BadInputError, LimitExceededError, type MfaDevice } from "../../api/mod.ts";
import { type Backend, KeyExistsError, KeyNotFoundError, StaleRevisionError } from "../../storage/mod.ts";
import { Documents, versioned } from "../documents.ts";
import { MAX_DEVICE_NAME_LEN, MAX_MFA_DEVICES } from "../limits.ts";

const otp = z.object({
  /** Base32. */
  secret: z.string(),
  /** The time step of the last code that was accepted; an earlier one is a replay. */
  last_step: z.int(),
});
const passkey = z.object({
  credential_id: z.base64url(),
  /** COSE key. */
  public_key: z.base64url(),
  sign_count: z.int(),
  transports: z.array(z.string()).optional(),
  /** The relying party that it was made for; it works for no other. */
  rp_id: z.string(),
  /** It can log in without a password: it names its user and verifies them. */
  passwordless: z.boolean(),
});
const schema = versioned({
  name: z.string(),
  added: z.int(),
  last_used: z.int().optional(),
  otp: otp.optional(),
  passkey: passkey.optional(),
});
const indexSchema = versioned({ user: z.string(), device: z.string() });

export type Passkey = z.infer<typeof passkey>;
export type DeviceSecret = { readonly otp: z.infer<typeof otp> } | { readonly passkey: Passkey };
export interface Device extends z.infer<typeof schema> {
  readonly id: string;
  readonly revision: string;
}

/** Second factors, apart from users: no listing of users can show a secret. */
export class MfaDevices {
  readonly #documents: Documents<typeof schema>;
  /** Whose a passkey is, by its credential. */
  readonly #index: Documents<typeof indexSchema>;

  constructor(backend: Backend) {
    this.#documents = new Documents(backend, "mfa_device", schema);
    this.#index = new Documents(backend, "passkey", indexSchema);
  }

  /** In the order in which they were added. */
  async list(user: string): Promise<Device[]> {
    const found = await this.#documents.list(MAX_MFA_DEVICES, user);
    const devices = found.map(({ name, value, revision }) => ({ ...value, id: name, revision }));
    return devices.sort((a, b) => a.added - b.added);
  }

  /** Throws `BadInputError`, `AlreadyExistsError` or `LimitExceededError` where no device of this name can be added. */
  async demandName(user: string, name: string): Promise<void> {
    if (name === "" || name.length > MAX_DEVICE_NAME_LEN || /\p{Cc}/u.test(name)) {
      throw new BadInputError(`a device's name has 1 to ${MAX_DEVICE_NAME_LEN} characters, none of them control ones`);
    }
    const devices = await this.list(user);
    if (devices.some((device) => device.name === name)) {
      throw new AlreadyExistsError(`MFA device ${JSON.stringify(name)} already exists: choose another name`);
    }
    if (devices.length >= MAX_MFA_DEVICES) {
      throw new LimitExceededError(`${MAX_MFA_DEVICES} MFA devices are registered: remove one with tsh mfa rm`);
    }
  }

  async add(user: string, name: string, secret: DeviceSecret, now: number): Promise<MfaDevice> {
    await this.demandName(user, name);
    const id = randomUUID();
    const device = { v: 1 as const, name, added: now, ...secret };
    if ("passkey" in secret) {
      // The index first, and once: a credential belongs to one user.
      await this.#index.create([hashed(secret.passkey.credential_id)], { v: 1, user, device: id }).catch(taken);
    }
    await this.#documents.create([user, id], device);
    return described({ ...device, id, revision: "" });
  }

  /** Who a credential belongs to. */
  async ownerOf(credentialId: string): Promise<string | undefined> {
    return (await this.#index.get(hashed(credentialId)))?.value.user;
  }

  /** Notes that the device has proved itself. `false`: it did so at the same moment elsewhere, or is gone. */
  async used(user: string, device: Device, secret: DeviceSecret, now: number): Promise<boolean> {
    const { id, revision, ...value } = device;
    try {
      await this.#documents.update([user, id], { ...value, ...secret, last_used: now }, revision);
      return true;
    } catch (error) {
      if (error instanceof StaleRevisionError || error instanceof KeyNotFoundError) return false;
      throw error;
    }
  }

  async remove(user: string, device: Device): Promise<void> {
    await this.#documents.delete(user, device.id);
    if (device.passkey) await this.#index.delete(hashed(device.passkey.credential_id));
  }

  async removeAll(user: string): Promise<Device[]> {
    const devices = await this.list(user);
    for (const device of devices) await this.remove(user, device);
    return devices;
  }
}

/** What may be shown of it. */
export function described(device: Device): MfaDevice {
  const { id, name, added, last_used } = device;
  return {
    id,
    name,
    type: device.otp ? "TOTP" : "WEBAUTHN",
    added: new Date(added).toISOString(),
    ...(last_used !== undefined && { last_used: new Date(last_used).toISOString() }),
  };
}

/** WebAuthn Level 3 §7.1, step 26. */
function taken(error: unknown): never {
  if (error instanceof KeyExistsError)
    throw new AlreadyExistsError("this passkey is registered already", { cause: error });
  throw error;
}

/** Credential ids are up to 1,023 octets long; keys are not. */
function hashed(credentialId: string): string {
  return createHash("sha256").update(credentialId).digest("hex");
}
