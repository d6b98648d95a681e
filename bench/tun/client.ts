/** The near endpoint on the kernel's TCP: a process that does one `Job` after the other; answers with `Done`. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { encodeRequest, Receiver, type Request, Sender } from "./protocol.ts";

export type Target = { host: string; port: number };
export type Job = Target &
  (
    | ({ job: "bulk"; flows: number } & Request)
    | { job: "connect"; count: number; atOnce: number }
    | { job: "round-trips"; count: number }
    | { job: "hold"; count: number }
  );

export type Done = { error: string } | { seconds: number /** Of each, milliseconds. */; timesMs: number[] };

const PIECE_LEN = 1024 * 1024;
const held: Socket[] = [];

process.on("message", (job: Job) => {
  run(job).then(
    (done) => process.send!(done),
    (error: Error) => process.send!({ error: String(error.stack) }),
  );
});
process.on("disconnect", () => process.exit(0));

async function run(job: Job): Promise<Done> {
  const started = performance.now();
  let timesMs: number[] = [];
  switch (job.job) {
    case "bulk":
      await Promise.all(Array.from({ length: job.flows }, () => transfer(job)));
      break;
    case "connect":
      timesMs = await connections(job, job.count, job.atOnce);
      break;
    case "round-trips":
      timesMs = await roundTrips(job, job.count);
      break;
    default:
      for (let i = 0; i < job.count; i++) held.push(await opened(job));
  }
  return { seconds: (performance.now() - started) / 1000, timesMs };
}

function transfer(job: Target & Request): Promise<void> {
  return job.mode === "up" ? sendAll(job) : receiveAll(job);
}

async function sendAll(job: Target & Request): Promise<void> {
  const socket = connect({ host: job.host, port: job.port, noDelay: true });
  const sender = new Sender(job.octets, job.hash);
  socket.write(encodeRequest(job));
  const pump = () => {
    while (sender.left > 0) if (!socket.write(sender.next(PIECE_LEN))) return;
    socket.removeListener("drain", pump);
    socket.write(sender.digest());
  };
  socket.on("drain", pump);
  pump();
  await once(socket, "data"); // the receiver has all of it
  socket.destroy();
}

/** Into one buffer again and again, so that this end is not what is measured. */
function receiveAll(job: Target & Request): Promise<void> {
  const receiver = new Receiver(job.octets, job.hash);
  return new Promise((resolve, reject) => {
    const callback = (length: number, buffer: Uint8Array) => {
      try {
        if (receiver.take(buffer.subarray(0, length))) {
          socket.destroy();
          resolve();
        }
      } catch (error) {
        reject(error);
      }
      return true;
    };
    const onread = { buffer: Buffer.allocUnsafe(PIECE_LEN), callback };
    const socket: Socket = connect({ host: job.host, port: job.port, noDelay: true, onread });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("closed too early")));
    socket.write(encodeRequest(job));
  });
}

async function opened(target: Target): Promise<Socket> {
  const socket = connect({ host: target.host, port: target.port });
  await once(socket, "connect");
  return socket;
}

async function connections(target: Target, count: number, atOnce: number): Promise<number[]> {
  const times: number[] = [];
  let left = count;
  const worker = async () => {
    while (left-- > 0) {
      const started = performance.now();
      const socket = await opened(target);
      times.push(performance.now() - started);
      socket.resetAndDestroy();
      await once(socket, "close");
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return times;
}

async function roundTrips(target: Target, count: number): Promise<number[]> {
  const socket = connect({ host: target.host, port: target.port, noDelay: true });
  await once(socket, "connect");
  socket.write(encodeRequest({ mode: "echo", octets: 0, hash: false }));
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const started = performance.now();
    socket.write("x");
    await once(socket, "data");
    times.push(performance.now() - started);
  }
  socket.destroy();
  return times;
}
