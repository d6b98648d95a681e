/**
 * Wanted state of the operating system to actions: addresses, routes and rules
 * by `ip`, names by `/etc/resolv.conf`. What is wanted is data and what follows
 * from it is a pure function; an empty state removes every trace.
 * Deliberately absent: who wants it, and the TUN itself.
 */
export { STATE_VERSION, type WantedState } from "./state.ts";
