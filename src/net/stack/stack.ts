import type { ByteStream, Chunk } from "../../base/mod.ts";
import type { Endpoint, StackOptions } from "./types.ts";

export class Stack {
  readonly options: StackOptions;
  constructor(options: StackOptions) {
    this.options = options;
  }
  /** Takes ownership of the frame; delivered chunks alias it until they are released. */
  input(frame: Chunk): void {
    frame.release();
  }
  /** The end of a burst of input: acknowledgements and replies are sent now. */
  drained(): void {}
  /** Active open. */
  connect(_local: Endpoint, _remote: Endpoint): Promise<ByteStream> {
    return Promise.reject(new Error("not yet"));
  }
  sendUdp(_local: Endpoint, _remote: Endpoint, _payload: Uint8Array): void {}
  /** Open connections, attempts and TIME-WAIT not counted. */
  get connections(): number {
    return 0;
  }
  /** Resets every connection and attempt. */
  close(): void {}
}
