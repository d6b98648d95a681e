/** VNet's start waits so long for the first look at each cluster; a slow one follows later. */
export const FIRST_VIEW_MS = 5_000;

/**
 * A connection to an app of a cluster whose login has expired waits so long for a new one: time to type a password.
 * Less than VNet's own patience with a dial, so that the refusal names the login.
 */
export const LOGIN_WAIT_MS = 29_000;

/** How often a person is told that a login has expired, however many names are asked for. */
export const LOGIN_REMINDER_MS = 60_000;

/** Saved logins are compared with the disk so often, should the system not tell of changes (it does not on NFS). */
export const PROFILE_POLL_MS = 2_000;

/** A login writes several files: they are read when nothing has changed for so long. */
export const PROFILE_SETTLE_MS = 100;

/** Former logins whose open connections go on; with more, the oldest one's are closed. */
export const MAX_FORMER_LOGINS = 8;

/** Logins of which reminders are remembered. */
export const MAX_REMINDERS = 64;

/** How often Auth is asked whether a passkey has confirmed what the terminal asked for. */
export const APPROVAL_POLL_MS = 1_000;
