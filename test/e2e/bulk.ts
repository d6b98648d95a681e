/**
 * Bulk data whose hash both ends can tell, a program for either end:
 *
 *     node bulk.ts serve ADDRESS PORT            prints "ready"
 *     node bulk.ts send HOST PORT OCTETS         prints {"octets","sha256","seconds"} once the server agrees
 *     node bulk.ts fetch HOST PORT OCTETS        the other direction
 *
 * A client's first line is "TAKE" (data follows until its FIN; the answer is
 * "OCTETS SHA256") or "GIVE OCTETS" (the answer is the data). The data is an
 * AES-CTR key stream: as fast as memory, and no block is like another.
 */
import { createCipheriv, createHash, type Hash } from "node:crypto";
import { connect, createServer, type Socket } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

const BLOCK = new Uint8Array(256 * 1024);

const [mode, host = "", port = "", octets = ""] = process.argv.slice(2);
if (mode === "serve") serve(host, Number(port));
else await measure(mode === "send" ? send : fetchBulk, Number(octets));

function serve(address: string, listenPort: number): void {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {}); // the client will tell
    answer(socket).catch((error: unknown) => socket.destroy(error instanceof Error ? error : undefined));
  });
  server.listen(listenPort, address, () => console.log("ready"));
}

async function answer(socket: Socket): Promise<void> {
  // Our side stays open after the client's FIN: the answer is still to come.
  const input = socket.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  let head = Buffer.alloc(0);
  while (!head.includes("\n")) {
    const { value, done } = await input.next();
    if (done === true) return void socket.end();
    head = Buffer.concat([head, value as Buffer]);
  }
  const lineEnd = head.indexOf("\n");
  const [verb, count] = head.subarray(0, lineEnd).toString().split(" ");
  if (verb === "GIVE") return pipeline(Readable.from(keyStream(Number(count))), socket);
  const hash = createHash("sha256").update(head.subarray(lineEnd + 1));
  const rest = await digest(input, hash);
  socket.end(`${head.length - lineEnd - 1 + rest} ${hash.digest("hex")}\n`);
}

async function send(count: number): Promise<string> {
  const socket = connect({ host, port: Number(port), allowHalfOpen: true });
  socket.write("TAKE\n");
  const hash = createHash("sha256");
  const [reply] = await Promise.all([
    socket.toArray(),
    pipeline(Readable.from(hashing(keyStream(count), hash)), socket),
  ]);
  const sha256 = hash.digest("hex");
  const said = Buffer.concat(reply as Buffer[]).toString();
  if (said !== `${count} ${sha256}\n`) throw new Error(`sent ${count} octets of ${sha256}, the server got ${said}`);
  return sha256;
}

async function fetchBulk(count: number): Promise<string> {
  const socket = connect({ host, port: Number(port), allowHalfOpen: true });
  socket.end(`GIVE ${count}\n`);
  const hash = createHash("sha256");
  const got = await digest(socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>, hash);
  const sha256 = hash.digest("hex");
  const wanted = createHash("sha256");
  for (const block of keyStream(count)) wanted.update(block);
  if (got !== count || sha256 !== wanted.digest("hex")) throw new Error(`got ${got} octets of ${sha256}`);
  return sha256;
}

async function measure(transfer: (count: number) => Promise<string>, count: number): Promise<void> {
  const start = performance.now();
  const sha256 = await transfer(count);
  const seconds = (performance.now() - start) / 1000;
  console.log(JSON.stringify({ octets: count, sha256, seconds: Number(seconds.toFixed(3)) }));
}

function* keyStream(count: number): Generator<Uint8Array> {
  const cipher = createCipheriv("aes-128-ctr", new Uint8Array(16), new Uint8Array(16));
  for (let left = count; left > 0; left -= BLOCK.length) {
    yield cipher.update(left >= BLOCK.length ? BLOCK : BLOCK.subarray(0, left));
  }
}

function* hashing(blocks: Iterable<Uint8Array>, hash: Hash): Generator<Uint8Array> {
  for (const block of blocks) {
    hash.update(block);
    yield block;
  }
}

async function digest(input: AsyncIterator<Buffer>, hash: Hash): Promise<number> {
  let total = 0;
  for (let next = await input.next(); next.done !== true; next = await input.next()) {
    hash.update(next.value);
    total += next.value.length;
  }
  return total;
}
