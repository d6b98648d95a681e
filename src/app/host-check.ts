import { isIP } from "node:net";
import type { AppSpec } from "../api/mod.ts";
import { MAX_HOST_CHECK_LEN } from "./limits.ts";

/** `other`: not an HTTP/1 request. `pending`: more octets are needed; `held` ones must not reach the app before the verdict. */
export type HostVerdict =
  | { kind: "pending"; held: boolean }
  | { kind: "other" | "allowed" }
  | { kind: "refused"; status: "misdirected" | "too-large"; detail: string };

const PENDING: HostVerdict = { kind: "pending", held: false };
const OTHER: HostVerdict = { kind: "other" };
const SP = 0x20;
const LF = 0x0a;
const CR = 0x0d;
const VERSION = "HTTP/1.";

/**
 * Reads the first octets that a client sends, cut anywhere, until it is known
 * whether they are an HTTP/1 request (RFC 9112 §3) and, if so, whether its
 * Host is one of the app's. Protection against DNS rebinding (PROTOCOL section
 * 6): it is about requests that browsers send, not about every form that some
 * server would take for HTTP.
 *
 * Until the version is read nothing need be held back: no server acts on a
 * part of a request line, and another protocol may wait for an answer to it.
 */
export class HostCheck {
  readonly #allowed: ReadonlySet<string>;
  #step: "start" | "method" | "target" | "version" | "line-end" | "fields" = "start";
  #matched = 0;
  /** The beginning of the target, for its absolute form. */
  #target = "";
  #fields = "";

  /** `allowed`: host names, in any spelling. */
  constructor(allowed: readonly string[]) {
    this.#allowed = new Set(allowed.map(plainHost));
  }

  push(bytes: Uint8Array): HostVerdict {
    for (let at = 0; at < bytes.length; at++) {
      if (this.#step === "fields") return this.#onFields(bytes.subarray(at));
      if (!this.#take(bytes[at]!)) return OTHER;
    }
    return this.#step === "line-end" || this.#step === "fields" ? { kind: "pending", held: true } : PENDING;
  }

  /** The client has ended before its header did. */
  end(): HostVerdict {
    const held = this.#step === "line-end" || this.#step === "fields";
    return held ? misdirected("the request has no end") : OTHER;
  }

  /** One octet of the request line; false where it cannot be one. */
  #take(octet: number): boolean {
    switch (this.#step) {
      case "start": // RFC 9112 §2.2: empty lines before the request are skipped.
        if (octet === CR || octet === LF) return true;
        this.#step = "method";
        return isTokenChar(octet);
      case "method":
        if (octet === SP) this.#step = "target";
        return octet === SP || isTokenChar(octet);
      case "target":
        return this.#takeTarget(octet);
      case "version":
        if (octet === SP && this.#matched === 0) return true;
        if (octet !== VERSION.charCodeAt(this.#matched)) return false;
        if (++this.#matched === VERSION.length) this.#step = "line-end";
        return true;
      default:
        if (octet === LF) this.#step = "fields";
        return true;
    }
  }

  #takeTarget(octet: number): boolean {
    if (octet === SP) {
      if (this.#target !== "") this.#step = "version";
      return true;
    }
    if (this.#target.length < MAX_HOST_CHECK_LEN) this.#target += String.fromCharCode(octet);
    return octet > SP && octet !== 0x7f;
  }

  #onFields(bytes: Uint8Array): HostVerdict {
    const searched = Math.max(0, this.#fields.length - 2);
    this.#fields += Buffer.from(bytes).toString("latin1");
    const length = endOfFields(this.#fields, searched);
    if (length === undefined && this.#fields.length <= MAX_HOST_CHECK_LEN) return { kind: "pending", held: true };
    if (length === undefined || length > MAX_HOST_CHECK_LEN) {
      return { kind: "refused", status: "too-large", detail: `a header of more than ${MAX_HOST_CHECK_LEN} octets` };
    }
    return this.#judge(this.#fields.slice(0, length + 1).split(/\r?\n/));
  }

  #judge(lines: readonly string[]): HostVerdict {
    // Also " Host:" and "Host :", which some servers take: nothing of the kind may name another host.
    const hosts = lines.flatMap((line) => /^\s*host\s*:(.*)$/is.exec(line)?.[1]?.trim() ?? []);
    const absolute = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(this.#target)?.[1];
    if (absolute !== undefined) hosts.push(absolute);
    if (hosts.length === 0) return misdirected("the request has no Host");
    const wrong = hosts.find((host) => !this.#isAllowed(plainHost(host)));
    return wrong === undefined ? { kind: "allowed" } : misdirected(`the request is for ${JSON.stringify(wrong)}`);
  }

  #isAllowed(host: string): boolean {
    return this.#allowed.has(host) || isUnresolved(host);
  }
}

/** Where the empty line begins that ends the header, if it is there; `from`: searched up to here before. */
function endOfFields(fields: string, from: number): number | undefined {
  if (/^\r?\n/.test(fields)) return 0;
  const at = fields.slice(from).search(/\n\r?\n/);
  return at < 0 ? undefined : from + at;
}

/** The names that plain HTTP may ask an app by; `undefined` where it is not looked at. */
export function hostNames({ public_addr, http_host_check }: AppSpec): string[] | undefined {
  if (http_host_check?.mode === "off") return undefined;
  return [...(public_addr ? [public_addr] : []), ...(http_host_check?.allow ?? [])];
}

/** Without case, port and one trailing dot. */
export function plainHost(host: string): string {
  return host.trim().toLowerCase().replace(/:\d*$/, "").replace(/\.$/, "");
}

/** No name server says where it leads: a page under such a name was not made by rebinding. */
function isUnresolved(host: string): boolean {
  return host === "localhost" || isIP(host) === 4 || (/^\[.*\]$/.test(host) && isIP(host.slice(1, -1)) === 6);
}

/** RFC 9110 §5.6.2. */
function isTokenChar(octet: number): boolean {
  return /[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(String.fromCharCode(octet));
}

function misdirected(detail: string): HostVerdict {
  return { kind: "refused", status: "misdirected", detail };
}
