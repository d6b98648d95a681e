/** Connections being dialled; more are answered as unreachable. Half of the stack's held SYNs: the rest is for apps. */
export const MAX_OUTSIDE_DIALS = 512;

/** Open connections, a descriptor each; more are answered as unreachable. Half of what the stack holds: the rest is for apps. */
export const MAX_OUTSIDE_CONNECTIONS = 8_192;

/** UDP flows, a descriptor each; beyond, the one that was silent longest makes room. */
export const MAX_UDP_FLOWS = 1_024;

/** A flow without datagrams in either direction ends (RFC 4787 REQ-5: at least 2 min). */
export const UDP_IDLE_MS = 120_000;

/** One that leads to port 53: a question and its answer (REQ-5 lets well-known ports be shorter). */
export const UDP_DNS_IDLE_MS = 15_000;

/** How often silent flows are looked for. */
export const UDP_SWEEP_MS = 5_000;

/** Datagrams of one flow that the system has not taken; more are dropped, as a full network card's are. */
export const MAX_UNSENT_DATAGRAMS = 64;
