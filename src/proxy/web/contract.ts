import type { AuthPreference, PublicFacts } from "./find.ts";

type Json = Readonly<Record<string, unknown>>;

/** An invite or a reset, and what it asks for. */
export interface UserLink {
  readonly user: string;
  readonly kind: "invite" | "reset";
  readonly expires: string;
  readonly mfaOptional: boolean;
  readonly otp?: { readonly secret: string; readonly uri: string } | undefined;
  /** Options of `navigator.credentials.create`. */
  readonly webauthn?: Json | undefined;
}

export interface NewCredentials {
  readonly token: string;
  readonly password: string;
  readonly otpToken?: string;
  readonly webauthn?: Record<string, unknown>;
  readonly deviceName?: string;
}

/** What a terminal asked for and a passkey may confirm. */
export interface Approval {
  /** Empty: whoever has the passkey. */
  readonly user: string;
  readonly scope: string;
  readonly app?: string | undefined;
  readonly remote: string;
  readonly expires: string;
  /** Options of `navigator.credentials.get`. */
  readonly webauthn: Json;
}

/** A passkey that a terminal has begun. */
export interface Registration {
  readonly user: string;
  readonly name: string;
  readonly expires: string;
  readonly webauthn: Json;
}

/** What the pages need of the cluster. Each call may throw a `WebProblem`. */
export interface WebBackend {
  facts(): PublicFacts;
  preference(): AuthPreference;
  trust(): Promise<object>;
  readLink(token: string): Promise<UserLink>;
  /** `client`: where the browser is, `address:port`; Auth counts and records it. */
  acceptLink(credentials: NewCredentials, client: string): Promise<{ user: string }>;
  readApproval(id: string): Promise<Approval>;
  confirmApproval(id: string, webauthn: Record<string, unknown>, client: string): Promise<{ user: string }>;
  readRegistration(id: string): Promise<Registration>;
  confirmRegistration(id: string, webauthn: Record<string, unknown>, client: string): Promise<{ user: string }>;
  appAt(host: string): { name: string; protocol: "tcp" | "http" } | undefined;
}
