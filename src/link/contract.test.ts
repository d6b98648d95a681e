import { streamContract } from "../testkit/mod.ts";
import { linkPair } from "./link-harness.ts";

streamContract("link stream", async () => {
  const accepted = Promise.withResolvers<import("../base/mod.ts").ByteStream>();
  const { client, server } = linkPair({ onOpen: (request) => accepted.resolve(request.accept()) });
  const a = await client.open(1);
  return {
    a,
    b: await accepted.promise,
    close: async () => {
      client.close("shutdown");
      await server.closed;
    },
  };
});
