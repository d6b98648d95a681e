import { type Clock, isMalformed, type Malformed, malformed } from "../base/mod.ts";
import { type AttachClaim, attachProof, isProofGenuine, type LinkKeys } from "./attach-proof.ts";
import type { Carrier } from "./carrier.ts";
import { Channel } from "./channel.ts";
import type { CloseCode } from "./codes.ts";
import { decodeFrame, type Frame } from "./frames.ts";
import { ATTACH_TIMEOUT_MS } from "./limits.ts";

/** One of the three is called, once. */
export interface AttachOffer {
  readonly keys: LinkKeys;
  readonly claim: AttachClaim;
  /** The agent has taken the carrier, and `received` of our frames before: hand the channel over. */
  attached(channel: Channel, received: number): Malformed | undefined;
  /** The agent says that the link is over. */
  ended(code: CloseCode, message: string): void;
  /** Nothing is known; another carrier may succeed. */
  failed(message: string): void;
}

/** The client's beginning of a carrier for a link that lives: ATTACH, and its answer. */
export function offerAttach(carrier: Carrier, clock: Clock, offer: AttachOffer): void {
  let settled = false;
  const settle = (): boolean => {
    timer.cancel();
    if (settled) return false;
    settled = true;
    return true;
  };
  const fail = (message: string) => {
    if (!settle()) return;
    channel.destroy();
    offer.failed(message);
  };
  const end = (code: CloseCode, message: string) => {
    if (!settle()) return;
    channel.close();
    offer.ended(code, message);
  };
  const timer = clock.after(ATTACH_TIMEOUT_MS, () => fail("the agent did not answer"));
  const channel: Channel = new Channel(carrier, clock, {
    frame(type, stream, payload) {
      const frame = decodeFrame(type, stream, payload);
      if (frame === undefined || isMalformed(frame)) return frame;
      if (frame.type === "link-gone") return void end("gone", "the app's agent does not know this link any more");
      if (frame.type === "goaway" && frame.code !== "drain") return void end(frame.code, frame.text);
      if (frame.type !== "attached") return malformed("link.not-attached");
      if (!isAnswerGenuine(frame, channel.binding, offer)) return malformed("link.proof");
      return settle() ? offer.attached(channel, frame.received) : undefined;
    },
    heard: () => {},
    writable: () => {},
    worn: () => {},
    broken: ({ malformed }) => fail(malformed),
    ended: fail,
  });
  const { keys, claim } = offer;
  const proof = attachProof(keys, "attach", channel.binding, claim);
  channel.say({ type: "attach", link: keys.id, ...claim, proof });
}

function isAnswerGenuine(
  { received, proof }: Extract<Frame, { type: "attached" }>,
  binding: Uint8Array,
  { keys, claim }: AttachOffer,
): boolean {
  return isProofGenuine(proof, attachProof(keys, "attached", binding, { ...claim, received }));
}
