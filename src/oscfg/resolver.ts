import type { DnsManager } from "./dns-manager.ts";

/** What the host's resolver shall send to VNet. */
export interface WantedDns {
  readonly device: string;
  /** VNet's DNS addresses, of families that the host has; at least one. */
  readonly servers: readonly string[];
  readonly zones: readonly string[];
  /** Whose reverse names are VNet's too. */
  readonly ranges: readonly string[];
}

/** One way of telling a host's resolver. That everything goes at the end, also after a crash, is `undoScript`'s. */
export interface HostResolver {
  readonly manager: DnsManager;
  /** Safe to repeat. @throws {OperationError} where this way does not work here */
  apply(wanted: WantedDns): Promise<void>;
  /** Whether that still holds. */
  isApplied(wanted: WantedDns): Promise<boolean>;
  /** As if `apply` had never been called. */
  revert(device: string): Promise<void>;
  /** The host's own name servers, VNet's left out, in order; empty where none is known. */
  upstreams(): Promise<string[]>;
}
