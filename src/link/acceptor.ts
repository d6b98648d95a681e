import { isMalformed, type Malformed, malformed, toHex } from "../base/mod.ts";
import { AttachTurns } from "./attach-turns.ts";
import type { Carrier } from "./carrier.ts";
import { Channel, type ChannelOwner } from "./channel.ts";
import type { GoawayCode } from "./codes.ts";
import { decodeFrame, type Frame } from "./frames.ts";
import { HELLO_TIMEOUT_MS } from "./limits.ts";
import { Link } from "./link.ts";
import type { ServerLinkOptions } from "./options.ts";

/** A carrier whose client has been let in. */
export interface Arrival {
  readonly carrier: Carrier;
  /** Who the client is: only the same one may attach to a link. */
  readonly owner: string;
  readonly options: ServerLinkOptions;
  /** Why no link may begin now; those that live may still go on. */
  refusal?(): { code: Exclude<GoawayCode, "drain">; message: string } | undefined;
  /** A link begins. */
  onLink(link: Link): void;
  /** A link goes on. */
  onAttached(link: Link): void;
}

type Attach = Extract<Frame, { type: "attach" }>;

/** The agent's links: a carrier begins one, or goes on with one that it is proved to belong to. */
export class LinkAcceptor {
  readonly #links = new Map<string, { link: Link; owner: string; turns: AttachTurns }>();

  accept(arrival: Arrival): void {
    const { clock, counters } = arrival.options;
    const timer = clock.after(HELLO_TIMEOUT_MS, () => channel.destroy());
    const refuse = (bad: Malformed) => {
      timer.cancel();
      counters.count(bad.malformed);
      channel.destroy();
    };
    const channel: Channel = new Channel(arrival.carrier, clock, {
      ...DEAF,
      frame: (type, stream, payload, lease) => {
        const frame = decodeFrame(type, stream, payload);
        if (frame === undefined || isMalformed(frame)) return frame;
        timer.cancel();
        if (frame.type === "hello") return this.#begin(channel, arrival)?.frame(type, stream, payload, lease);
        if (frame.type !== "attach") return malformed("link.no-hello");
        this.#attach(channel, frame, arrival);
        return undefined;
      },
      broken: refuse,
      ended: () => timer.cancel(),
    });
  }

  /** Whose frames come next is the link. */
  #begin(channel: Channel, { owner, options, onLink, refusal }: Arrival): ChannelOwner | undefined {
    const refused = refusal?.();
    if (refused !== undefined) {
      channel.say({ type: "goaway", code: refused.code, text: refused.message });
      channel.close();
      return undefined;
    }
    let greeter: ChannelOwner | undefined;
    const link = Link.serverOn((next) => {
      greeter = next;
      channel.handOver(next);
      return channel;
    }, options);
    const turns = new AttachTurns(options.clock);
    this.#links.set(link.id, { link, owner, turns });
    void link.closed.then(() => {
      this.#links.delete(link.id);
      turns.stop(); // Whoever waits learns now that the link is gone.
    });
    onLink(link);
    return greeter;
  }

  #attach(channel: Channel, frame: Attach, arrival: Arrival): void {
    const { counters } = arrival.options;
    const known = this.#links.get(toHex(frame.link));
    if (known?.owner !== arrival.owner || !known.link.isGenuine(frame, channel.binding)) {
      counters.count("link.gone");
      channel.say({ type: "link-gone" });
      channel.close();
      return;
    }
    // `frame` aliases the carrier's octets.
    const claim = { ...frame, link: frame.link.slice(), proof: frame.proof.slice() };
    channel.handOver({
      ...DEAF,
      frame: () => malformed("link.not-attached"),
      broken: () => channel.destroy(),
    });
    known.turns.ask({
      transport: claim.transport,
      generation: claim.generation,
      tooLate: () => channel.destroy(),
      attach: () => {
        if (channel.over) return false; // It did not wait for its turn.
        if (known.link.ended) {
          channel.say({ type: "link-gone" });
          channel.close();
          return false;
        }
        if (!known.link.reattach(channel, claim)) {
          counters.count("link.stale-attach");
          channel.destroy();
          return false;
        }
        arrival.onAttached(known.link);
        return true;
      },
    });
  }
}

/** Hears nothing, for as long as nothing may be said. */
const DEAF: ChannelOwner = {
  frame: () => undefined,
  heard: () => {},
  writable: () => {},
  broken: () => {},
  ended: () => {},
  worn: () => {},
};
