import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import type { ByteStream } from "../base/mod.ts";
import { StreamUser } from "./stream-user.ts";

const PIECE = 256 * 1024;

/** A stream to an echo that carries something at every moment of interest, and knows the hash of all of it. */
export class Witness {
  readonly #user: StreamUser;
  readonly #sent = createHash("sha256");
  #length = 0;

  constructor(stream: ByteStream) {
    this.#user = new StreamUser(stream);
  }

  /** Random octets there and back. */
  async exchange(): Promise<void> {
    const piece = randomBytes(PIECE);
    this.#sent.update(piece);
    this.#length += PIECE;
    this.#user.send(piece);
    await this.#user.until(this.#length);
  }

  /** Ends it in order; all that came back is what was sent. */
  async finish(): Promise<void> {
    await this.exchange();
    this.#user.end();
    assert.equal(await this.#user.closed, "end", "ended in order, never reset");
    assert.equal(createHash("sha256").update(this.#user.received).digest("hex"), this.#sent.digest("hex"));
  }
}
