/** The near endpoint on the kernel's TCP: a process that does one `Job` after the other; answers with `Done`. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { encodeRequest, Receiver, type Request, Sender } from "./protocol.ts";

export type Target = { host: string; port: number };
export type Job = Target &
  (
    | ({ job: "bulk"; flows: number } & Request)
    | { job: "connect"; count: number; atOnce: number }
    /** Connect, one octet and its echo, close. */
    | { job: "exchange"; count: number; atOnce: number }
    /** `pauseMs`: before each, so that they are spread evenly over what else goes on. */
    | { job: "round-trips"; count: number; pauseMs?: number }
    /** `count` connections, each of which asks one octet `times` times, `pauseMs` after the answer. */
    | { job: "chatty"; count: number; times: number; pauseMs: number }
    /** `spoken`: after one octet and its echo. */
    | { job: "hold"; count: number; spoken?: boolean }
    | { job: "release" }
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
    case "exchange":
      timesMs = await exchanges(job, job.count, job.atOnce);
      break;
    case "round-trips":
      timesMs = await roundTrips(job, job.count, job.pauseMs);
      break;
    case "chatty":
      timesMs = await chatty(job);
      break;
    case "hold":
      for (let i = 0; i < job.count; i++) held.push(await (job.spoken ? talking(job) : opened(job)));
      break;
    default:
      for (const socket of held.splice(0)) socket.destroy();
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
  const receiver = new Receiver(job.octets, job.hash, job.compare);
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

/** Connected, and one octet has gone to and fro. */
async function talking(target: Target): Promise<Socket> {
  const socket = connect({ host: target.host, port: target.port, noDelay: true });
  socket.write(Buffer.concat([encodeRequest({ mode: "echo", octets: 0, hash: false }), Buffer.from("x")]));
  await once(socket, "data");
  return socket;
}

function connections(target: Target, count: number, atOnce: number): Promise<number[]> {
  return timed(count, atOnce, async (took) => {
    const socket = await opened(target);
    took();
    socket.resetAndDestroy();
    await once(socket, "close");
  });
}

function exchanges(target: Target, count: number, atOnce: number): Promise<number[]> {
  return timed(count, atOnce, async (took) => {
    const socket = await talking(target);
    took();
    socket.destroy();
  });
}

/** Milliseconds from the start of each run to its call of `took`. */
async function timed(count: number, atOnce: number, run: (took: () => void) => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  let left = count;
  const worker = async () => {
    while (left-- > 0) {
      const started = performance.now();
      await run(() => times.push(performance.now() - started));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return times;
}

async function roundTrips(target: Target, count: number, pauseMs?: number): Promise<number[]> {
  const socket = await talking(target);
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    if (pauseMs !== undefined) await wait(pauseMs);
    times.push(await roundTrip(socket));
  }
  socket.destroy();
  return times;
}

async function chatty(job: Target & { count: number; times: number; pauseMs: number }): Promise<number[]> {
  const times: number[] = [];
  const one = async (i: number) => {
    const socket = await talking(job);
    await wait((i * job.pauseMs) / job.count); // so that they do not all ask at once
    for (let asked = 0; asked < job.times; asked++) {
      times.push(await roundTrip(socket));
      await wait(job.pauseMs);
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: job.count }, (_, i) => one(i)));
  return times;
}

/** Milliseconds. */
async function roundTrip(socket: Socket): Promise<number> {
  const started = performance.now();
  socket.write("x");
  await once(socket, "data");
  return performance.now() - started;
}
