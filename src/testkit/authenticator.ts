import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";

type Json = Record<string, unknown>;

export interface AuthenticatorOptions {
  /** The page that uses it, `https://host[:port]`. */
  readonly origin: string;
  /** Has a fingerprint reader, or a PIN: says that the user was verified. */
  readonly verifiesUser?: boolean;
  /** Does not count (many passkeys do not): says 0 for ever. */
  readonly countless?: boolean;
}

interface Credential {
  readonly id: string;
  readonly rpId: string;
  readonly userHandle: string;
  readonly privateKey: Parameters<typeof sign>[2];
  count: number;
}

const USER_PRESENT = 0x01;
const USER_VERIFIED = 0x04;
const ATTESTED = 0x40;

/**
 * A passkey in software, with the browser around it: answers creation and
 * request options (WebAuthn Level 3 §5.1, JSON forms) with ES256 and no
 * attestation. Everything that a thief could change can be changed by tests.
 */
export class SoftAuthenticator {
  readonly #credentials: Credential[] = [];
  readonly #o: AuthenticatorOptions;

  constructor(options: AuthenticatorOptions) {
    this.#o = options;
  }

  /** `navigator.credentials.create`, as `toJSON()` gives it. `id`: 16 octets, another's perhaps. */
  create(options: Json, id: Buffer = randomBytes(16)): Json {
    const { rp, user, challenge } = options as { rp: { id: string }; user: { id: string }; challenge: string };
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const credential = { id: id.toString("base64url"), rpId: rp.id, userHandle: user.id, privateKey, count: 0 };
    this.#credentials.push(credential);
    const { x, y } = publicKey.export({ format: "jwk" });
    const cose = cborMap([
      [cborInt(1), cborInt(2)],
      [cborInt(3), cborInt(-7)],
      [cborInt(-1), cborInt(1)],
      [cborInt(-2), cborBytes(Buffer.from(x ?? "", "base64url"))],
      [cborInt(-3), cborBytes(Buffer.from(y ?? "", "base64url"))],
    ]);
    const attested = Buffer.concat([Buffer.alloc(16), u16(id.length), id, cose]);
    const attestation = cborMap([
      [cborText("fmt"), cborText("none")],
      [cborText("attStmt"), cborMap([])],
      [cborText("authData"), cborBytes(this.#authData(credential, ATTESTED, attested))],
    ]);
    return {
      ...this.#envelope(credential),
      response: {
        clientDataJSON: this.#clientData("webauthn.create", challenge),
        attestationObject: attestation.toString("base64url"),
        transports: ["internal"],
      },
      clientExtensionResults: { credProps: { rk: true } },
    };
  }

  /** `navigator.credentials.get`, as `toJSON()` gives it. Throws where no passkey here is asked for. */
  get(options: Json, o: { origin?: string; count?: number } = {}): Json {
    const { rpId, challenge, allowCredentials } = options as {
      rpId: string;
      challenge: string;
      allowCredentials?: { id: string }[];
    };
    const credential = this.#credentials.findLast(
      (each) => each.rpId === rpId && (!allowCredentials?.length || allowCredentials.some(({ id }) => id === each.id)),
    );
    if (credential === undefined) throw new Error("NotAllowedError: no passkey for this request");
    credential.count = o.count ?? credential.count + 1;
    const authData = this.#authData(credential, 0, Buffer.alloc(0));
    const clientDataJSON = this.#clientData("webauthn.get", challenge, o.origin);
    const hash = createHash("sha256").update(Buffer.from(clientDataJSON, "base64url")).digest();
    return {
      ...this.#envelope(credential),
      response: {
        clientDataJSON,
        authenticatorData: authData.toString("base64url"),
        signature: sign("sha256", Buffer.concat([authData, hash]), credential.privateKey).toString("base64url"),
        userHandle: credential.userHandle,
      },
      clientExtensionResults: {},
    };
  }

  #envelope({ id }: Credential): Json {
    return { id, rawId: id, type: "public-key", authenticatorAttachment: "platform" };
  }

  /** WebAuthn Level 3 §6.1. */
  #authData(credential: Credential, flags: number, attested: Buffer): Buffer {
    const all = flags | USER_PRESENT | (this.#o.verifiesUser === false ? 0 : USER_VERIFIED);
    const count = Buffer.alloc(4);
    count.writeUInt32BE(this.#o.countless ? 0 : credential.count);
    return Buffer.concat([createHash("sha256").update(credential.rpId).digest(), Buffer.from([all]), count, attested]);
  }

  #clientData(type: string, challenge: string, origin = this.#o.origin): string {
    return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false })).toString("base64url");
  }
}

function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

/** CBOR (RFC 8949 §3): major type and argument, below 65,536. */
function cborHead(major: number, value: number): Buffer {
  if (value < 24) return Buffer.from([(major << 5) | value]);
  if (value < 256) return Buffer.from([(major << 5) | 24, value]);
  return Buffer.concat([Buffer.from([(major << 5) | 25]), u16(value)]);
}

function cborInt(value: number): Buffer {
  return value < 0 ? cborHead(1, -1 - value) : cborHead(0, value);
}

function cborBytes(octets: Uint8Array): Buffer {
  return Buffer.concat([cborHead(2, octets.length), octets]);
}

function cborText(text: string): Buffer {
  return Buffer.concat([cborHead(3, Buffer.byteLength(text)), Buffer.from(text)]);
}

function cborMap(entries: [Buffer, Buffer][]): Buffer {
  return Buffer.concat([cborHead(5, entries.length), ...entries.flat()]);
}
