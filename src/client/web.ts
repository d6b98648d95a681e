import { request } from "node:https";
import type { Socket } from "node:net";
import { z } from "zod";
import { VersionMismatchError } from "../api/mod.ts";
import { VERSION, versionObjection } from "../base/mod.ts";
import { type DialTcp, type WebRoots, webRoots } from "../dial/mod.ts";
import { NotAProxyError, ProxyUnreachableError, ProxyUntrustedError } from "./errors.ts";
import { reasonOf } from "./reasons.ts";

/** Longest wait for one web answer of a proxy. */
const WEB_TIMEOUT_MS = 10_000;
/** A web answer is a page of JSON at most. */
const WEB_BODY_LIMIT = 256 * 1024;
/** Tried at once where the user names no port, as Teleport's clients do. */
const DEFAULT_PORTS = [443, 3080];

/** Whom to believe about a proxy's web certificate: the system's roots, or those the user names. */
export interface WebTrust extends WebRoots {
  readonly insecure: boolean;
  /** The way there, where it is not straight. */
  readonly dialTcp?: DialTcp | undefined;
}

const findSchema = z.object({
  server_version: z.string(),
  min_client_version: z.string().optional(),
  cluster_name: z.string(),
});
const trustSchema = z.object({ cluster_name: z.string(), generation: z.number().int(), host_cas: z.array(z.string()) });

const motdSchema = z.object({ text: z.string() });

export type ProxyFind = z.infer<typeof findSchema> & { readonly address: string; readonly host: string };
export type ProxyTrust = z.infer<typeof trustSchema>;

export function splitHostPort(address: string): { host: string; port: number | undefined } {
  const match = /^(?:\[([^\]\s]+)\]|([^:\s]+))(?::(\d{1,5}))?$/.exec(address);
  const port = match?.[3] === undefined ? undefined : Number(match[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || (port !== undefined && (port < 1 || port > 65535))) {
    throw new NotAProxyError(`"${address}" is not a proxy address: expected HOST or HOST:PORT`);
  }
  return { host, port };
}

export function joinHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Finds the proxy at `address` and asks what it is. Without a port, 443 and
 * 3080 are asked at once and the first that answers like a proxy is taken.
 * Throws `VersionMismatchError` where this program is too far from its version.
 */
export async function findProxy(address: string, trust: WebTrust): Promise<ProxyFind> {
  const found = await firstProxy(address, trust);
  const objection = versionObjection(VERSION, found.server_version);
  if (objection !== undefined) throw new VersionMismatchError(objection);
  return found;
}

async function firstProxy(address: string, trust: WebTrust): Promise<ProxyFind> {
  const { host, port } = splitHostPort(address);
  const candidates = (port === undefined ? DEFAULT_PORTS : [port]).map((each) => joinHostPort(host, each));
  try {
    return await Promise.any(
      candidates.map(async (candidate) => ({
        ...(await getJson(candidate, "/webapi/find", findSchema, trust)),
        address: candidate,
        host,
      })),
    );
  } catch (error) {
    const failures = error instanceof AggregateError ? (error.errors as unknown[]) : [error];
    // A certificate that is not trusted says more than a port where nobody listens.
    throw failures.find((failure) => failure instanceof ProxyUntrustedError) ?? failures[0];
  }
}

/** What the cluster's administrators say before a login; empty: nothing, or not asked for by this proxy's version. */
export async function fetchMessageOfTheDay(address: string, trust: WebTrust): Promise<string> {
  return getJson(address, "/webapi/motd", motdSchema, trust).then(
    ({ text }) => text,
    () => "", // The login itself says what is wrong.
  );
}

/** The host CAs of the proxy's cluster, believed on the strength of the web certificate or of a pin. */
export async function fetchProxyTrust(address: string, trust: WebTrust): Promise<ProxyTrust> {
  return getJson(address, "/webapi/trust", trustSchema, trust);
}

async function getJson<T>(address: string, url: string, schema: z.ZodType<T>, trust: WebTrust): Promise<T> {
  const body = await get(address, url, trust);
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    throw new NotAProxyError(`${address} answers, but not like a proxy of a cluster`, { cause });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new NotAProxyError(`${address} answers, but not like a proxy of a cluster`);
  return parsed.data;
}

async function get(address: string, url: string, trust: WebTrust): Promise<string> {
  const { host, port = 443 } = splitHostPort(address);
  const signal = AbortSignal.timeout(WEB_TIMEOUT_MS);
  const socket = await trust.dialTcp?.({ host, port }, signal).catch((error: Error) => {
    throw explainWebFailure(address, error);
  });
  return answerTo({ host, port, url, socket, signal }, address, trust);
}

interface WebRequest {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Connected already. */
  readonly socket: Socket | undefined;
  readonly signal: AbortSignal;
}

function answerTo({ url, socket, ...to }: WebRequest, address: string, trust: WebTrust): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      ...to,
      // For `tls.connect`, to which they are passed on.
      ...(socket && { socket }),
      path: url,
      agent: false,
      ca: webRoots(trust),
      rejectUnauthorized: !trust.insecure,
      timeout: WEB_TIMEOUT_MS,
    };
    const req = request(options, (res) => {
      const parts: Buffer[] = [];
      let length = 0;
      res.on("data", (part: Buffer) => {
        length += part.length;
        if (length > WEB_BODY_LIMIT) res.destroy(new Error("the answer is too long"));
        else parts.push(part);
      });
      res.on("error", (error) => reject(explainWebFailure(address, error)));
      res.on("end", () => {
        if (res.statusCode === 200) resolve(Buffer.concat(parts).toString("utf8"));
        else reject(new NotAProxyError(`${address} answered ${res.statusCode} for ${url}: not a proxy of a cluster?`));
      });
    });
    req.on("error", (error) => reject(explainWebFailure(address, error)));
    req.end();
  });
}

const UNTRUSTED = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "ERR_TLS_CERT_ALTNAME_INVALID",
]);

function explainWebFailure(address: string, cause: Error): Error {
  const code = (cause as NodeJS.ErrnoException).code ?? "";
  if (UNTRUSTED.has(code)) {
    return new ProxyUntrustedError(
      `the web certificate of ${address} is not trusted: ${reasonOf(cause)}.\n` +
        "If your organization has a certificate authority of its own, name its certificate with SSL_CERT_FILE or SSL_CERT_DIR.\n" +
        "To go on without checking who answers, which is not safe, use --insecure.",
      { cause },
    );
  }
  return new ProxyUnreachableError(`the proxy ${address} cannot be reached: ${reasonOf(cause)}`, { cause });
}
