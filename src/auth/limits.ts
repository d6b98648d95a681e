/** Password hashes at one time: each takes 64 MiB and four threads. */
export const MAX_HASHING = 2;
/** Logins waiting for a hash; about 8 s of work. Above that they are told to come later. */
export const MAX_HASHING_QUEUE = 64;
/** Argon2id: 64 MiB, three passes, four lanes (above OWASP's minimum; some 0.1 s). */
export const ARGON2 = { memory: 64 * 1024, passes: 3, parallelism: 4, tagLength: 32 } as const;

/** Failed logins in a row that lock a user's password, as in Teleport. */
export const MAX_FAILED_LOGINS = 5;
/** How long, after the last of them, as in Teleport. */
export const USER_LOCK_MS = 20 * 60_000;
/** Failed logins of one address within the window; behind a proxy, of one connection: its clients share the address. */
export const MAX_FAILED_LOGINS_PER_ADDRESS = 20;
/** After the last failure an address may fail again after so long. */
export const LOGIN_ADDRESS_WINDOW_MS = 60_000;
/** Logins of one user that wait for each other; each takes some 0.1 s. */
export const MAX_LOGINS_WAITING = 128;
/** Names and addresses whose failures are remembered; the oldest are forgotten first. */
export const MAX_TRACKED_LOGINS = 10_000;

/** Until the first octets of a connection have come: TLS, or a proxy's header. */
export const RELAY_HEADER_MS = 10_000;
/** A proxy's clock may differ so much from Auth's. */
export const RELAY_SKEW_MS = 5 * 60_000;

/** Characters of a password, as in Teleport. */
export const MIN_PASSWORD_LEN = 12;
export const MAX_PASSWORD_LEN = 128;

/** Life of an invite, as in Teleport. */
export const DEFAULT_INVITE_TTL_MS = 3_600_000;
export const MAX_INVITE_TTL_MS = 48 * 3_600_000;

/** Life of a link from `tctl users reset`, as in Teleport. */
export const DEFAULT_RESET_TTL_MS = 8 * 3_600_000;
export const MAX_RESET_TTL_MS = 24 * 3_600_000;

/** Seconds that a one-time password is good for (RFC 6238 §5.2), and how many such steps a clock may be off. */
export const OTP_PERIOD_S = 30;
export const OTP_SKEW_STEPS = 1;
/** Octets of a one-time password's secret (RFC 4226 §4, R6). */
export const OTP_SECRET_LEN = 20;
/** Second factors of one user. */
export const MAX_MFA_DEVICES = 16;
/** Characters of a device's name. */
export const MAX_DEVICE_NAME_LEN = 64;
/** A challenge is good for so long: time to find the phone, or to open the page. */
export const CHALLENGE_TTL_MS = 5 * 60_000;
/** Second factors that are asked of one user within the window of failed logins: each question is on record. */
export const MAX_CHALLENGES_PER_USER = 60;
/** Challenges without a password that one address may ask for within the window of its failed logins. */
export const MAX_PASSWORDLESS_PER_ADDRESS = 20;

/** Life of a certificate from `tctl auth sign`, as in Teleport; at most a year, since only a lock ends it early. */
export const DEFAULT_SIGNED_TTL_MS = 12 * 3_600_000;
export const MAX_SIGNED_TTL_MS = 365 * 24 * 3_600_000;

/** Life of an app certificate; the session lives until the login ends. */
export const APP_CERT_TTL_MS = 3_600_000;
/** Live app sessions of one user: hundreds of apps from several machines. */
export const MAX_APP_SESSIONS = 1024;

/** A heartbeat's resource lapses after this at the latest. */
export const HEARTBEAT_TTL_MS = 10 * 60_000;
/** How long a rotation takes by itself, as in Teleport: users and hosts must renew in it. */
export const DEFAULT_GRACE_MS = 30 * 3_600_000;
export const MIN_GRACE_MS = 3 * 60_000;
export const MAX_GRACE_MS = 90 * 24 * 3_600_000;
/** A rotation's next phase is looked for this often at least, so that a clock set forward counts. */
export const MAX_ROTATION_WAIT_MS = 60_000;
/** A phase that could not be entered (a full disk) is tried again after this. */
export const ROTATION_RETRY_MS = 60_000;
/** Former host authorities by which one who was away so many rotations long still finds the present one. */
export const MAX_VOUCHERS = 4;
/** Agents that announce one app; a client is offered to a few of them. */
export const MAX_SERVERS_OF_APP = 1000;
/** An entry of the index of announced apps; long, so that heartbeats seldom renew it. */
export const SERVER_INDEX_LIFE_MS = 24 * 3_600_000;
/** Items read from storage at once. */
export const PAGE_LEN = 500;
/** Leaf clusters of one root: the authorities of each are looked at in every handshake. */
export const MAX_LEAF_CLUSTERS = 200;
/** Root clusters of one leaf. */
export const MAX_ROOT_CLUSTERS = 16;
/** Between two exchanges of authorities of a leaf and its root; also the leaf's sign of life. */
export const TRUST_RENEW_MS = 60_000;
/** After a failed one. */
export const TRUST_RETRY_MS = 5_000;

/** Locks at one time: each is looked at for every request and by every agent. */
export const MAX_LOCKS = 1000;
/** A token that many hosts use at the same moment: each may lose the race for one of its uses so often. */
export const MAX_USE_ATTEMPTS = 100;
/** Octets of roles and traits of one user: they travel in every certificate. */
export const MAX_GRANTS_LEN = 12 * 1024;
