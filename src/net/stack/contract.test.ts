import { stackPair, streamContract } from "../../testkit/mod.ts";

for (const [name, options] of [
  ["TCP with offload", {}],
  ["TCP over IPv6 without offload", { v6: true, offload: { checksum: false, tso: false } }],
  ["TCP with a large MTU without offload", { mtu: 16_384, offload: { checksum: false, tso: false } }],
  ["TCP with a small MTU and checksum offload", { mtu: 576, offload: { checksum: true, tso: false } }],
] as const) {
  streamContract(name, async () => {
    const pair = stackPair(options);
    const [a, b] = await pair.connect();
    return { a, b, close: () => pair.close() };
  });
}
