import { z } from "zod";
import { parseDuration, parseHostPort } from "../api/mod.ts";
import { type Cidr, isMalformed, parseCidr } from "../base/mod.ts";

/** `yes` and `no` are booleans to Teleport and strings to YAML 1.2. */
export const flag = z.unknown().transform((value, context): boolean => {
  if (typeof value === "boolean") return value;
  const word = typeof value === "string" ? value.toLowerCase() : "";
  if (["yes", "true", "on", "y"].includes(word)) return true;
  if (["no", "false", "off", "n"].includes(word)) return false;
  context.addIssue({ code: "custom", message: "expected yes or no" });
  return z.NEVER;
});

export const durationMs = z.string().transform((value, context): number => {
  const parsed = parseDuration(value);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: "custom", message: "expected a duration such as 12h or 30m" });
  return z.NEVER;
});

/** One value or a list of them; empty ones do not count. */
export function oneOrMore(item: z.ZodType<string>) {
  return z
    .preprocess((value) => (typeof value === "string" ? [value] : value), z.array(item))
    .transform((values) => values.filter((value) => value !== ""));
}

/** `host` or `host:port`, kept as it is: without a port the reader knows the right one. */
export const publicAddr = z.string().refine((value) => value === "" || parseHostPort(value) !== undefined, {
  error: "expected a host or host:port such as teleport.example.com:443",
});

/** `10.0.0.0/8`, or one address. */
export const addressRange = z.string().refine((value) => rangeOf(value) !== undefined, {
  error: "expected an address or a range such as 10.0.0.0/8",
});

export function rangeOf(text: string): Cidr | undefined {
  const range = parseCidr(text.includes("/") ? text : `${text}/${text.includes(":") ? 128 : 32}`);
  return isMalformed(range) ? undefined : range;
}

/** `host:port` of a server to call; `https://` in front is accepted, as in Teleport. */
export function serverAddr(defaultPort: number) {
  return z.string().transform((value, context): string => {
    const address = parseHostPort(value.replace(/^https:\/\//, "").replace(/\/$/, ""));
    if (address !== undefined) return joinHostPort(address.host, address.port ?? defaultPort);
    context.addIssue({ code: "custom", message: `expected host:port such as teleport.example.com:${defaultPort}` });
    return z.NEVER;
  });
}

/** `host:port` to listen on; port 0 takes any free one. */
export function listenAddr(defaultPort: number) {
  return z.string().transform((value, context): string => {
    const anyPort = value.endsWith(":0");
    const address = parseHostPort(anyPort ? value.slice(0, -2) : value);
    if (address !== undefined && !(anyPort && address.port !== undefined)) {
      return joinHostPort(address.host, anyPort ? 0 : (address.port ?? defaultPort));
    }
    context.addIssue({ code: "custom", message: `expected address:port such as 0.0.0.0:${defaultPort}` });
    return z.NEVER;
  });
}

export function joinHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
