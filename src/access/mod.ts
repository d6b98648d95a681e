/**
 * May these roles do this? Pure decisions with their reason, the same in Auth
 * and in every agent. Reads no clock and no storage; knows nothing of second
 * factors or sessions.
 */
export { appAccess, type Decision, type Grants, mayAccessApp, ruleAccess } from "./decide.ts";
export { fitsAny, labelSelector } from "./labels.ts";
export { type LockSubject, lockInForce, lockMessage } from "./locks.ts";
export { IMPLICIT_RULES, PRESET_MAX_SESSION_TTL, presetRoles, presetRules, upgradedPreset } from "./presets.ts";
export { mapRoles } from "./role-map.ts";
export { type SessionControls, sessionControls } from "./session-controls.ts";
export { DEFAULT_SESSION_TTL_MS, MAX_SESSION_TTL_MS, sessionTtl } from "./session-ttl.ts";
