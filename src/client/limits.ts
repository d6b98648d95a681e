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

/** How long the question for the second factor of one app session stands; what connects meanwhile waits as long as VNet lets it. */
export const MFA_PROMPT_MS = 120_000;
/** App sessions that wait for a second factor at one time; one is asked for after the other. */
export const MAX_MFA_QUESTIONS = 16;
/** Wrong codes that a person may type for one session. */
export const MFA_TRIES = 3;

/** How often Auth is asked whether a passkey has confirmed what the terminal asked for. */
export const APPROVAL_POLL_MS = 1_000;

/** A link that fails as it opens a stream is replaced once; then the user is told. */
export const MAX_LINK_ATTEMPTS = 2;

/** For an agent's answer to OPEN: longer than its own dialling (4.5 s), and a new connection is refused within 5 s. */
export const OPEN_TIMEOUT_MS = 4_800;

/** A new connection waits so long for its link to go on after a loss, before another link is tried beside it … */
export const RESUME_FIRST_MS = 300;

/** … and so long for either of them. */
export const RESUME_WAIT_MS = 4_000;

/** Links of one app: of those that look for a connection or drain, while a newer one is in use. */
export const MAX_APP_LINKS = 4;

/** For the renewal of a session, which a link may be waiting for; the old certificate lives for half of its time yet. */
export const RENEW_TIMEOUT_MS = 2_000;

/** A renewal that has failed is tried again after so long. */
export const RENEW_RETRY_MS = 30_000;

/** Between two questions for a certificate of one session, whatever the reasons. */
export const RENEW_AGAIN_MS = 2_000;

/** A rotation of an authority reaches all clients at once: each renews its sessions within this. */
export const ROTATION_SPREAD_MS = 2_000;

/** At the end, Auth's answer to the end of a session is waited for so long. */
export const SESSION_END_MS = 2_000;

/** The machine's addresses are looked at so often. */
export const NETWORK_POLL_MS = 1_000;
