import { networkInterfaces } from "node:os";
import { NETWORK_POLL_MS } from "./limits.ts";

/** Calls `changed` when an address of this machine has come or gone. Answers how to stop. */
export type WatchNetwork = (changed: () => void) => () => void;

/**
 * Looks at the addresses every `NETWORK_POLL_MS`: enough to notice another
 * network, a cable, a tunnel of somebody else's; a route that alone has changed is left to
 * the links' own signs of life. Does not keep the process alive.
 */
export const pollNetwork: WatchNetwork = (changed) => {
  let seen = addresses();
  const timer = setInterval(() => {
    const now = addresses();
    if (now === seen) return;
    seen = now;
    changed();
  }, NETWORK_POLL_MS).unref();
  return () => clearInterval(timer);
};

function addresses(): string {
  const all = Object.entries(networkInterfaces());
  return all.flatMap(([name, list = []]) => list.map(({ address }) => `${name} ${address}`)).join("\n");
}
