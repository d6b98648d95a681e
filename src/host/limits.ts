/** From the start of the helper to its descriptor; node itself takes 0.05 s. */
export const NAMESPACE_SETUP_MS = 10_000;

/** Between SIGTERM and SIGKILL when a command or user process is told to end. */
export const KILL_GRACE_MS = 2_000;

/** From the begin of VNet's end to the undoing, unless the user process has ended before; within a second all is undone. */
export const GOODBYE_MS = 300;

/** One wanted state or answer on the launcher's pipe, octets. */
export const MAX_MESSAGE_LEN = 64 * 1024;

/** One `ip` call or the guard's whole clean-up. */
export const OS_COMMAND_MS = 5_000;

/** The launcher's answer to a wanted state: a few `ip` calls. */
export const APPLY_MS = 15_000;

/** How long a guard waits for the one of the run before, which takes 0.1 s to clean up. */
export const GUARD_LOCK_S = 1;

/** Wanted states that wait for the one being applied. */
export const MAX_PENDING_STATES = 16;

/** How often the launcher looks at what other programs may have changed; a changed name server counts at once after. */
export const WATCH_MS = 1_000;

/** When a launcher that was killed can no longer have a program of its own running, each of which takes milliseconds. */
export const GUARD_SECOND_LOOK_S = 0.2;

/** Guards of one run: whoever kills more of them wants VNet's traces to stay. */
export const MAX_GUARDS = 64;
