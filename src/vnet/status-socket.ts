import { chmodSync, lstatSync, mkdirSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { MAX_STATUS_CLIENTS, MAX_STATUS_LEN, STATUS_TIMEOUT_MS } from "./limits.ts";

/** Where the status sockets of one user's VNets may be, in the order of preference. Directories of their own. */
export function statusDirs(o: { runtimeDir?: string | undefined; uid: number; home: string }): string[] {
  const runtime = [...(o.runtimeDir === undefined ? [] : [o.runtimeDir]), `/run/user/${o.uid}`];
  return [...new Set([...runtime.map((dir) => join(dir, "tsh-vnet")), join(o.home, "vnet")])];
}

/**
 * Serves `status` as one JSON document to each connection on a socket that only the
 * user can reach, in the first of `dirs` that will do. Ends, and the socket with it,
 * by the result. Does not keep the process alive.
 *
 * @throws where none of them will do
 */
export async function serveStatus(dirs: readonly string[], status: () => object): Promise<AsyncDisposable> {
  const failures: unknown[] = [];
  for (const dir of dirs) {
    try {
      preparePrivate(dir);
      return await listen(join(dir, `${process.pid}.sock`), status);
    } catch (error) {
      failures.push(error);
    }
  }
  throw new AggregateError(failures, `no directory for a status socket: ${failures.map(String).join("; ")}`);
}

/** The status of every VNet that has its socket in `dirs`. Sockets that nobody serves any more are removed. */
export async function readStatuses(dirs: readonly string[]): Promise<unknown[]> {
  const sockets = dirs.filter(isPrivate).flatMap((dir) =>
    readdirSync(dir)
      .filter((entry) => /^\d+\.sock$/.test(entry))
      .map((entry) => join(dir, entry)),
  );
  const found = await Promise.all(sockets.map((path) => readOne(path).catch((error) => forget(path, error))));
  return found.filter((status) => status !== undefined);
}

async function listen(path: string, status: () => object): Promise<AsyncDisposable> {
  rmSync(path, { force: true }); // Of an earlier process with our number.
  const clients = new Set<Socket>();
  const server = createServer((socket) => {
    clients.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => clients.delete(socket));
    socket.setTimeout(STATUS_TIMEOUT_MS, () => socket.destroy());
    socket.resume();
    socket.end(`${JSON.stringify(status())}\n`);
  });
  server.maxConnections = MAX_STATUS_CLIENTS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  server.unref();
  chmodSync(path, 0o600);
  return {
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve())); // Removes the socket too.
      removeIfEmpty(dirname(path));
    },
  };
}

function readOne(path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const parts: Buffer[] = [];
    let length = 0;
    socket.setTimeout(STATUS_TIMEOUT_MS, () => socket.destroy(new Error("no answer in time")));
    socket.on("error", reject);
    socket.on("data", (part: Buffer) => {
      parts.push(part);
      length += part.length;
      if (length > MAX_STATUS_LEN) socket.destroy(new Error("the status is too long"));
    });
    socket.on("end", () => {
      try {
        resolve(JSON.parse(Buffer.concat(parts).toString("utf8")));
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** A killed VNet leaves its socket; one that is slow or ending does not answer. */
function forget(path: string, error: NodeJS.ErrnoException): undefined {
  if (error.code === "ECONNREFUSED") rmSync(path, { force: true });
}

/** Other VNets of the user, and what else is kept there, stay. */
function removeIfEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // Not empty, or gone.
  }
}

/** Makes the directory, or takes ours; its parent must exist, so that nothing is invented below `/run`. */
function preparePrivate(dir: string): void {
  if (lstatSync(dir, { throwIfNoEntry: false }) === undefined) {
    if (!lstatSync(dirname(dir)).isDirectory()) throw new Error(`${dirname(dir)} is no directory`);
    mkdirSync(dir, { mode: 0o700 });
  }
  if (!isPrivate(dir)) throw new Error(`${dir} is not a directory of this user's alone`);
}

/** A directory of ours into which nobody else can put a socket. */
function isPrivate(dir: string): boolean {
  const found = lstatSync(dir, { throwIfNoEntry: false });
  return found?.isDirectory() === true && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
}
