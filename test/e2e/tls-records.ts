/**
 * TLS 1.3 as somebody on the path sees it: a relay that keeps, and may tamper
 * with, the records of links, and what a key log makes of the kept ones.
 */
import assert from "node:assert/strict";
import { createDecipheriv, createHmac } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export type Direction = "toAgent" | "toClient";

/** One client's link through the tap. */
export interface Captured {
  readonly toAgent: Uint8Array[];
  readonly toClient: Uint8Array[];
}

/** What goes on in place of a record. */
export interface Instead {
  readonly send: readonly Uint8Array[];
  /** Then a FIN, as if all were well. */
  readonly end?: boolean;
  /** The next record is wanted too. */
  readonly again?: boolean;
}

/** `index`: of the record in its direction, from 0. `undefined` passes it on. */
export type Tamper = (record: Uint8Array, index: number, direction: Direction) => Instead | undefined;

const HEADER_LEN = 5;

/** A relay between clients and the proxy's port. */
export class TlsTap implements AsyncDisposable {
  readonly links: Captured[] = [];
  /** Applies to links that begin, or go on, while it is set. */
  tamper: Tamper | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Clients' ends of links that live. */
  readonly #clients = new Map<Captured, Socket>();

  private constructor(proxyPort: number) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#relay(client, proxyPort));
  }

  static async start(proxyPort: number): Promise<TlsTap> {
    const tap = new TlsTap(proxyPort);
    tap.#server.listen(0, "127.0.0.1");
    await once(tap.#server, "listening");
    return tap;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends the links' connections as if all were well; their clients have noticed when this returns. */
  async endLinks(): Promise<void> {
    const clients = this.links.flatMap((captured) => this.#clients.get(captured) ?? []);
    await Promise.all(
      clients.map((client) => {
        client.end();
        return new Promise((resolve) => client.once("close", resolve));
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #relay(client: Socket, proxyPort: number): void {
    const proxy = connect({ host: "127.0.0.1", port: proxyPort, allowHalfOpen: true, noDelay: true });
    const captured: Captured = { toAgent: [], toClient: [] };
    this.#clients.set(captured, client);
    client.once("close", () => this.#clients.delete(captured));
    this.#pump(client, proxy, captured, "toAgent");
    this.#pump(proxy, client, captured, "toClient");
  }

  #pump(from: Socket, to: Socket, captured: Captured, direction: Direction): void {
    this.#sockets.add(from);
    const records = new RecordReader();
    let cut = false;
    from.on("data", (bytes: Buffer) => {
      for (const record of records.push(bytes)) {
        if (cut) return;
        const index = captured[direction].push(record) - 1;
        if (direction === "toAgent" && index === 0 && isLink(record)) this.links.push(captured);
        const instead = this.links.includes(captured) ? this.tamper?.(record, index, direction) : undefined;
        for (const octets of instead?.send ?? [record]) if (!to.write(octets)) from.pause();
        if (instead?.end) {
          cut = true;
          to.end();
        }
      }
    });
    to.on("drain", () => from.resume());
    from.on("end", () => cut || to.end());
    from.on("error", () => {});
    from.on("close", () => {
      this.#sockets.delete(from);
      // Also where it took not all: the other side, paused, would wait for it for ever.
      if (!from.readableEnded || !from.writableFinished) to.resetAndDestroy();
    });
  }
}

/** Cuts a connection into TLS records (RFC 8446 §5.1). */
class RecordReader {
  #rest = Buffer.alloc(0);

  push(bytes: Uint8Array): Uint8Array[] {
    const all = Buffer.concat([this.#rest, bytes]);
    const records: Uint8Array[] = [];
    let at = 0;
    while (all.length - at >= HEADER_LEN) {
      const end = at + HEADER_LEN + all.readUInt16BE(at + 3);
      if (end > all.length) break;
      records.push(all.subarray(at, end));
      at = end;
    }
    this.#rest = all.subarray(at);
    return records;
  }
}

function isLink(clientHello: Uint8Array): boolean {
  return Buffer.from(clientHello).includes("tp-link/1");
}

/** What a key log (SSLKEYLOGFILE's format) makes of a captured link: both directions' plaintext, empty without its keys. */
export function decrypt(captured: Captured, keyLog: string): Buffer {
  const random = Buffer.from(captured.toAgent[0]!.subarray(11, 43)).toString("hex");
  const secrets = new Map(
    keyLog.split("\n").flatMap((line): [string, Buffer][] => {
      const [label = "", of, secret = ""] = line.trim().split(" ");
      return of === random ? [[label, Buffer.from(secret, "hex")]] : [];
    }),
  );
  if (secrets.size === 0) return Buffer.alloc(0);
  // ServerHello: record, handshake header, version, random; then the session id, then the suite.
  const hello = captured.toClient[0]!;
  const suiteAt = HEADER_LEN + 4 + 2 + 32 + 1 + hello[HEADER_LEN + 4 + 2 + 32]!;
  assert.deepEqual([...hello.subarray(suiteAt, suiteAt + 2)], [0x13, 0x01], "TLS_AES_128_GCM_SHA256");
  return Buffer.concat([
    ...open(captured.toAgent, [
      secrets.get("CLIENT_HANDSHAKE_TRAFFIC_SECRET")!,
      secrets.get("CLIENT_TRAFFIC_SECRET_0")!,
    ]),
    ...open(captured.toClient, [
      secrets.get("SERVER_HANDSHAKE_TRAFFIC_SECRET")!,
      secrets.get("SERVER_TRAFFIC_SECRET_0")!,
    ]),
  ]);
}

/** Protected records in order: under the first secret until one does not fit, then under the next. */
function open(records: readonly Uint8Array[], secrets: readonly Buffer[]): Buffer[] {
  const keys = secrets.map((secret) => ({ key: expand(secret, "key", 16), iv: expand(secret, "iv", 12) }));
  let sequence = 0n;
  return records
    .filter((record) => record[0] === 23)
    .map((record) => {
      for (;;) {
        const plain = keys[0] && openRecord(record, keys[0], sequence++);
        if (plain !== undefined) return plain;
        keys.shift();
        sequence = 0n;
        assert.ok(keys.length > 0, "the key log's secrets do not fit");
      }
    });
}

/** RFC 8446 §5.2 and §5.3; the content type and padding stay at the end. */
function openRecord(
  record: Uint8Array,
  { key, iv }: { key: Buffer; iv: Buffer },
  sequence: bigint,
): Buffer | undefined {
  const nonce = Buffer.from(iv);
  nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ sequence, 4);
  const decipher = createDecipheriv("aes-128-gcm", key, nonce);
  decipher.setAAD(record.subarray(0, HEADER_LEN));
  decipher.setAuthTag(record.subarray(-16));
  try {
    return Buffer.concat([decipher.update(record.subarray(HEADER_LEN, -16)), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** HKDF-Expand-Label with an empty context (RFC 8446 §7.1), of one block of SHA-256. */
function expand(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.of(0, length, name.length), name, Buffer.of(0), Buffer.of(1)]);
  return createHmac("sha256", secret).update(info).digest().subarray(0, length);
}
