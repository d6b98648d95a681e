/**
 * The layers of `src/`: each folder, and the folders whose `mod.ts` its files
 * may import besides `base`, which is open to all. `layers.test.ts` enforces
 * it. Where the code proves a line wrong, change the line, in a commit of its own.
 */
export const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  "net/wire": [],
  "net/tcp": ["net/wire"],
  "net/stack": ["net/wire", "net/tcp"],
  tun: [],
  oscfg: [],
  host: ["tun", "oscfg"],
  "dns/wire": [],
  dns: ["dns/wire"],
  api: [],
  config: ["api"],
  pki: [],
  access: ["api"],
  audit: ["api"],
  storage: [],
  rpc: ["api", "dial", "pki"],
  link: [],
  tunnel: ["dial", "pki", "link"],
  auth: ["api", "access", "audit", "dial", "pki", "rpc", "storage", "tunnel"],
  proxy: ["api", "dial", "pki", "rpc", "tunnel"],
  app: ["api", "access", "audit", "dial", "pki", "rpc", "link", "tunnel"],
  dial: [],
  outside: ["net/stack", "tunnel"],
  client: ["api", "dial", "pki", "rpc", "link", "tunnel"],
  vnet: ["api", "net/wire", "net/stack", "tun", "oscfg", "dns", "client"],
};

/** The programs wire everything together: they may import any layer above. */
export const PROGRAMS = "cmd";

/** What tests share; imported only by `*.test.ts`, `test/`, `bench/` and `scripts/`. */
export const TESTKIT = "testkit";

/**
 * Folders that receive bytes, time and randomness and return bytes and events:
 * no sockets, files, processes or timers. `node:` modules open to them:
 */
export const PURE: readonly string[] = ["net/wire", "net/tcp", "net/stack", "dns/wire", "link", "api", "pki", "access"];
export const PURE_BUILTINS: readonly string[] = ["node:buffer", "node:crypto", "node:util"];
