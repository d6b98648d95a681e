/** The agent's named maximums; `docs/limits.md` lists them. */

/** An announced app lives this long without renewal. */
export const APP_ANNOUNCE_TTL_MS = 10 * 60_000;
/** Until the app has accepted: shorter than a client waits for the answer to its OPEN, so that it hears why. */
export const DIAL_TIMEOUT_MS = 4_500;
/** Per address of a name with several. */
export const DIAL_ATTEMPT_MS = 1_000;
/** Connections to apps at once, dials included; each takes a file descriptor. */
export const MAX_APP_CONNECTIONS = 10_000;
/** A session that the agent has not heard of yet is waited for so long. */
export const UNKNOWN_SESSION_WAIT_MS = 2_000;
/** Sessions' ends are looked for this often besides at each news of one. */
export const SESSION_SWEEP_MS = 1_000;
/** Proxies that an agent keeps control connections to. */
export const MAX_PROXIES = 64;
/** After `drain` begins, connections that are still open after this are reset. */
export const DRAIN_MS = 30_000;
/** At the end, audit events that Auth has not taken within this stay in the spool for the next start. */
export const SPOOL_FLUSH_MS = 2_000;
/** At a graceful end, Auth's answer to each withdrawn announcement is waited for so long. */
export const WITHDRAW_MS = 2_000;
/** With `strict` locks, a view older than this lets nobody in and cuts off who is in (PROTOCOL section 2). */
export const STRICT_STALE_MS = 60_000;
/** Octets of a plain HTTP request's header that are held back until its Host is known; web servers allow 8 to 64 KiB. */
export const MAX_HOST_CHECK_LEN = 64 * 1024;
/** After the answer to a request with a foreign Host, its client has so long to end. */
export const REFUSED_REQUEST_MS = 5_000;
/** Between two dials of an app that was healthy … */
export const HEALTH_INTERVAL_MS = 30_000;
/** … and of one that was not, so that its return is seen soon. */
export const HEALTH_RETRY_MS = 5_000;
/** An app that has not accepted within this is unhealthy. */
export const HEALTH_TIMEOUT_MS = 5_000;
/** Between the first checks of two apps, so that an agent with a thousand does not dial them at once. */
export const HEALTH_SPREAD_MS = 20;
/** A command that prints a label's value runs again after this, where it says nothing … */
export const DEFAULT_LABEL_PERIOD_MS = 60_000;
/** … and no sooner than this, as in Teleport. */
export const MIN_LABEL_PERIOD_MS = 1_000;
/** A command that has not ended by then is killed. */
export const LABEL_COMMAND_TIMEOUT_MS = 10_000;
/** Commands that run at once, of all apps; the others wait. */
export const MAX_LABEL_COMMANDS = 8;
/** Characters of what a command prints that become the label's value. */
export const MAX_LABEL_OUTPUT_LEN = 1024;
/** Apps that one agent takes from the cluster's `app` resources, by name; the others are left to other agents. */
export const MAX_DYNAMIC_APPS = 10_000;
/** Longest window within which a link may be resumed: a login does not live longer. */
export const MAX_RESUME_MS = 24 * 3_600_000;
