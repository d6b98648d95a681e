/**
 * The Proxy: one TCP port for everything. It serves the web pages, relays the
 * API to Auth and links to agents without being able to read either, and holds
 * the agents' control and data connections.
 *
 * It lacks on purpose: any key that could open an app's traffic, any storage,
 * and the serving of web apps.
 */
export type { ProxyProtocolConfig } from "./balancers.ts";
export { ProxyListenError, WebCertificateError } from "./errors.ts";
export { type ProxyOptions, type ProxyService, startProxy } from "./proxy.ts";
