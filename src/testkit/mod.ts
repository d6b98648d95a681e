/**
 * What tests and benches share: what they need from the machine, hosts made of
 * namespaces, real servers, fakes. Never imported by the product.
 */

export { type AuthKills, killAuth } from "./auth-kills.ts";
export { type AuthenticatorOptions, SoftAuthenticator } from "./authenticator.ts";
export { TestBrowser } from "./browser.ts";
export { type VirtualClock, virtualClock } from "./clock.ts";
export {
  appSessionOf,
  startTestCluster,
  TEST_CLUSTER,
  type TestCluster,
  type TestClusterOptions,
  type TestLogin,
  tcpApp,
} from "./cluster.ts";
export { type ConnectProxyOptions, TestConnectProxy } from "./connect-proxy.ts";
export { type DnsFuzzResult, fuzzDns } from "./dns-fuzz.ts";
export { ended, exchange } from "./exchange.ts";
export { appView, echoStream, type FakeDial, FakeDirectory, LEAF_VIEW, ROOT_VIEW } from "./fake-directory.ts";
export { FakeView } from "./fake-view.ts";
export { asUser, type HostName, type Hosts, type Machine, PUBLIC_NAMES, startHosts, thisMachine } from "./hosts.ts";
export { type LaptopOptions, onLaptop } from "./laptop.ts";
export { installLayer, type Layer } from "./layers.ts";
export { Mutator } from "./mutator.ts";
export { lacking, type Need, needs, postgresBinDir, programPath } from "./needs.ts";
export { startPglite } from "./pglite.ts";
export { BackgroundProcess, type RunOptions, type RunResult, run, runOk } from "./process.ts";
export { namedLimits, protocolSays, protocolTable, quotedLimits } from "./protocol-doc.ts";
export { ResolvedHost, type ResolvedOptions } from "./resolved.ts";
export { type SampleNames, sampleResources } from "./sample-resources.ts";
export {
  freePort,
  type Server,
  type ServerOptions,
  type SshServer,
  startPostgres,
  startRedis,
  startSshd,
} from "./servers.ts";
export { type StackPair, type StackPairOptions, stackPair } from "./stack-pair.ts";
export { type StreamEnds, streamContract } from "./stream-contract.ts";
export { streamPair } from "./stream-pair.ts";
export { type StreamEnd, StreamUser, type StreamUserOptions } from "./stream-user.ts";
export { Transcript, type TranscriptOptions } from "./transcript.ts";
export { fuzzTunnel, type TunnelFuzzResult } from "./tunnel-fuzz.ts";
export { type Lookup, VirtualHost, type VirtualHostOptions } from "./virtual-host.ts";
export { startVirtualVnet, type VirtualVnet, type VirtualVnetOptions } from "./virtual-vnet.ts";
export { makeWebPki, trustWebPki, type WebPki } from "./web-pki.ts";
export { Witness } from "./witness.ts";
