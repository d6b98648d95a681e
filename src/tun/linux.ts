import ffi from "node:ffi";
import fs from "node:fs";
import { release } from "node:os";
import { getSystemErrorName } from "node:util";
import { assert, type Chunk } from "../base/mod.ts";
import type { Offload, TunDevice, TunHandler } from "./device.ts";
import { TunLostError, TunUnavailableError } from "./errors.ts";
import {
  MAX_BURST,
  MAX_DESCRIPTOR_DATA,
  MAX_PIECES,
  MAX_POOLED_BUFFERS,
  READ_BUFFER_LEN,
  VNET_HEADER_LEN,
} from "./limits.ts";
import { negotiateOffload } from "./offload.ts";

// The only file that may use `node:ffi` (ADR: experimental, and wrong use of it
// is memory corruption). Numbers are those of Linux on x86-64 and arm64, which
// agree in all that is used here.

const TUN_PATH = "/dev/net/tun";
const TUNSETIFF = 0x400454can;
const TUNSETOFFLOAD = 0x400454d0n;
const TUNGETIFF = 0x800454d2n;
const TUNSETVNETHDRSZ = 0x400454d8n;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const IFREQ_LEN = 40;
const IFNAMSIZ = 16;

const EINTR = 4;
const EAGAIN = 11;
const UV_POLL = 8; // enum uv_handle_type
const UV_READABLE = 1;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const PR_SET_DUMPABLE = 4;

function loadNative() {
  // Results of type ssize_t are taken as i32: none here exceeds it, and a bigint per packet would cost.
  const { lib, functions } = ffi.dlopen(null, {
    __errno_location: { arguments: [], return: "pointer" },
    calloc: { arguments: ["u64", "u64"], return: "pointer" },
    free: { arguments: ["pointer"], return: "void" },
    ioctl: { arguments: ["i32", "u64", "u64"], return: "i32" },
    prctl: { arguments: ["i32", "u64", "u64", "u64", "u64"], return: "i32" },
    read: { arguments: ["i32", "pointer", "u64"], return: "i32" },
    recvmsg: { arguments: ["i32", "pointer", "i32"], return: "i32" },
    sendmsg: { arguments: ["i32", "pointer", "i32"], return: "i32" },
    writev: { arguments: ["i32", "pointer", "i32"], return: "i32" },
    socketpair: { arguments: ["i32", "i32", "i32", "pointer"], return: "i32" },
    uv_close: { arguments: ["pointer", "pointer"], return: "void" },
    uv_handle_size: { arguments: ["i32"], return: "u64" },
    uv_poll_init: { arguments: ["pointer", "pointer", "i32"], return: "i32" },
    uv_poll_start: { arguments: ["pointer", "i32", "pointer"], return: "i32" },
    uv_poll_stop: { arguments: ["pointer"], return: "i32" },
    write: { arguments: ["i32", "pointer", "u64"], return: "i32" },
  });
  return { lib, ...functions, errnoAt: functions.__errno_location() };
}

let loaded: ReturnType<typeof loadNative> | undefined;

/** The process's own symbols: libc and the libuv inside node. Looked up at first use. */
function native(): ReturnType<typeof loadNative> {
  loaded ??= loadNative();
  return loaded;
}

/** Of the call just made; nothing may come in between. */
function errno(): number {
  return ffi.getInt32(native().errnoAt);
}

function errnoName(): string {
  return getSystemErrorName(-errno());
}

// --- Opening -----------------------------------------------------------------

/**
 * Makes a TUN that vanishes with its last descriptor, in the network namespace
 * of this process. The caller owns the descriptor; the device is still down.
 *
 * @throws {TunUnavailableError}
 */
export function openTunDescriptor(wanted = "tun%d"): { fd: number; name: string } {
  const fd = openNode();
  const ifreq = new Uint8Array(IFREQ_LEN);
  assert(wanted.length < IFNAMSIZ, `device name is too long: ${wanted}`);
  ifreq.set(Buffer.from(wanted, "latin1"));
  new DataView(ifreq.buffer).setUint16(IFNAMSIZ, IFF_TUN | IFF_NO_PI | IFF_VNET_HDR, true);
  if (native().ioctl(fd, TUNSETIFF, ffi.getRawPointer(ifreq)) < 0) {
    const cause = errnoName();
    fs.closeSync(fd);
    throw new TunUnavailableError(creationAdvice(wanted, cause));
  }
  return { fd, name: nameIn(ifreq) };
}

function openNode(): number {
  try {
    return fs.openSync(TUN_PATH, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  } catch (cause) {
    throw new TunUnavailableError(nodeAdvice((cause as NodeJS.ErrnoException).code), { cause });
  }
}

function nodeAdvice(code: string | undefined): string {
  switch (code) {
    case "ENOENT":
    case "ENODEV":
    case "ENXIO":
      return `${TUN_PATH} does not exist: load the kernel module with "modprobe tun", or give the container the device`;
    case "EACCES":
    case "EPERM":
      return `${TUN_PATH} may not be opened by this user: its mode should be 0666, as udev sets it ("chmod 666 ${TUN_PATH}" as root)`;
    default:
      return `${TUN_PATH} cannot be opened (${code})`;
  }
}

function creationAdvice(name: string, code: string): string {
  if (code === "EBUSY") return `the network device ${name} is in use: VNet is running already`;
  if (code === "EPERM") return "creating a network device needs root (CAP_NET_ADMIN in this network namespace)";
  return `the network device ${name} cannot be created (${code})`;
}

function nameIn(ifreq: Uint8Array): string {
  const end = ifreq.indexOf(0);
  return Buffer.from(ifreq.subarray(0, Math.min(end, IFNAMSIZ))).toString("latin1");
}

export interface TunOptions {
  /** What the caller has set on the device, or is going to. */
  mtu: number;
  /** At most this, where the kernel can do more; everything unless given. */
  offload?: Offload;
}

/** Makes a TUN as `openTunDescriptor` does. */
export function openTun(options: TunOptions & { name?: string }): TunDevice & { readonly fd: number } {
  return adoptTun(openTunDescriptor(options.name).fd, options);
}

/**
 * Takes over the descriptor of a TUN that `openTunDescriptor` made, here or in
 * another process or namespace, and agrees with the kernel on offloads.
 */
export function adoptTun(fd: number, options: TunOptions): TunDevice & { readonly fd: number } {
  const ifreq = new Uint8Array(IFREQ_LEN);
  if (native().ioctl(fd, TUNGETIFF, ffi.getRawPointer(ifreq)) < 0) {
    throw new TunUnavailableError(`descriptor ${fd} is not a TUN (${errnoName()})`);
  }
  const headerLen = Int32Array.of(VNET_HEADER_LEN);
  if (native().ioctl(fd, TUNSETVNETHDRSZ, ffi.getRawPointer(headerLen)) < 0) {
    throw new TunUnavailableError(`the TUN does not take virtio-net headers (${errnoName()})`);
  }
  const accepts = (features: bigint) => native().ioctl(fd, TUNSETOFFLOAD, features) === 0;
  return new LinuxTun(fd, nameIn(ifreq), options.mtu, negotiateOffload(accepts, release(), options.offload));
}

// --- Reading and writing -----------------------------------------------------

class LinuxTun implements TunDevice {
  readonly fd: number;
  readonly name: string;
  readonly mtu: number;
  readonly offload: Offload;
  readonly #buffers: ReadBuffer[] = [];
  /** `struct iovec` of each piece: address and length. */
  readonly #iovecs = new BigUint64Array(2 * MAX_PIECES);
  /** The memory that was written from last, and its address. */
  #written: ArrayBufferLike | undefined;
  #writtenAt = 0n;
  #handler: TunHandler | undefined;
  #poll: Poll | undefined;
  #ended = false; // closed, or the device is lost
  #closed = false;

  constructor(fd: number, name: string, mtu: number, offload: Offload) {
    this.fd = fd;
    this.name = name;
    this.mtu = mtu;
    this.offload = offload;
  }

  start(handler: TunHandler): void {
    assert(this.#handler === undefined && !this.#closed, "a TUN is started once");
    this.#handler = handler;
    this.#poll = new Poll(this.fd, (status) => this.#readable(handler, status));
  }

  write(frame: Uint8Array): boolean {
    if (this.#ended) return false;
    // Less than all: EAGAIN and ENOBUFS, full; EIO, the device is down; EBADFD, it is gone, which `Poll` reports.
    return native().write(this.fd, this.#addressOf(frame), BigInt(frame.length)) === frame.length;
  }

  writeGathered(pieces: readonly Uint8Array[]): boolean {
    if (this.#ended) return false;
    assert(pieces.length <= MAX_PIECES, "a gathered frame in too many pieces");
    let length = 0;
    for (let i = 0; i < pieces.length; i++) {
      const piece = pieces[i]!;
      this.#iovecs[2 * i] = ffi.getRawPointer(piece);
      this.#iovecs[2 * i + 1] = BigInt(piece.length);
      length += piece.length;
    }
    return native().writev(this.fd, this.#iovecs, pieces.length) === length;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ended = true;
    this.#poll?.close();
    fs.closeSync(this.fd);
  }

  #readable(handler: TunHandler, status: number): void {
    // Bounded: what is left wakes us again in the next turn, since polling is level-triggered.
    for (let frames = 0; status === 0 && frames < MAX_BURST && !this.#ended; frames++) {
      const buffer = this.#buffers.pop() ?? readBuffer();
      const length = native().read(this.fd, buffer.address, READ_LEN);
      if (length <= 0) {
        const code = errno();
        this.#recycle(buffer);
        if (code === EAGAIN) break;
        if (code === EINTR) continue;
        status = -code;
      } else {
        handler.receive(new ReadChunk(buffer, length, this.#recycle));
      }
    }
    if (this.#ended) return;
    if (status === 0) handler.drained();
    else this.#lost(handler, status);
  }

  #lost(handler: TunHandler, status: number): void {
    this.#ended = true;
    this.#poll?.close();
    handler.failed(new TunLostError(this.name, { cause: new Error(getSystemErrorName(status)) }));
  }

  /** Who writes much does so from one buffer, so that its address is not asked for again. */
  #addressOf({ buffer, byteOffset }: Uint8Array): bigint {
    if (buffer !== this.#written) {
      this.#written = buffer;
      this.#writtenAt = ffi.getRawPointer(buffer as ArrayBuffer);
    }
    return byteOffset === 0 ? this.#writtenAt : this.#writtenAt + BigInt(byteOffset);
  }

  readonly #recycle = (buffer: ReadBuffer): void => {
    if (this.#buffers.length < MAX_POOLED_BUFFERS) this.#buffers.push(buffer);
  };
}

const READ_LEN = BigInt(READ_BUFFER_LEN);

/** With its address: to ask for that at each read takes as long as half the call. */
interface ReadBuffer {
  readonly bytes: Uint8Array;
  readonly address: bigint;
}

function readBuffer(): ReadBuffer {
  const bytes = new Uint8Array(READ_BUFFER_LEN);
  return { bytes, address: ffi.getRawPointer(bytes) };
}

class ReadChunk implements Chunk {
  readonly bytes: Uint8Array;
  readonly #buffer: ReadBuffer;
  readonly #recycle: (buffer: ReadBuffer) => void;
  #released = false;

  constructor(buffer: ReadBuffer, length: number, recycle: (buffer: ReadBuffer) => void) {
    this.bytes = buffer.bytes.subarray(0, length);
    this.#buffer = buffer;
    this.#recycle = recycle;
  }

  release(): void {
    assert(!this.#released, "a chunk is released once");
    this.#released = true;
    this.#recycle(this.#buffer);
  }
}

/**
 * Calls `ready` whenever `fd` is readable, from within the event loop's own callback: in a turn of its own it would let a
 * lone packet wait longer by a tenth. Such a callback runs no microtasks after it and must not throw; an immediate behind
 * it, in the same turn of the loop, does the one and may do the other. `status` is 0, or a negative errno after which
 * nothing follows. Keeps the process alive until closed.
 */
class Poll {
  // Native memory, not a buffer's: at exit libuv still walks its handles.
  readonly #handle = native().calloc(1n, native().uv_handle_size(UV_POLL));
  readonly #callback: bigint;
  readonly #stop = () => void native().uv_poll_stop(this.#handle);
  #behind: NodeJS.Immediate | undefined;
  #closed = false;

  constructor(fd: number, ready: (status: number) => void) {
    const { lib, uv_poll_init, uv_poll_start } = native();
    let thrown: { error: unknown } | undefined;
    const behind = () => {
      this.#behind = undefined;
      const failure = thrown;
      thrown = undefined;
      if (failure) throw failure.error;
    };
    this.#callback = lib.registerCallback({ arguments: ["pointer", "i32", "i32"] }, (_handle, status) => {
      try {
        ready(status as number);
      } catch (error) {
        thrown = { error };
      }
      this.#behind ??= setImmediate(behind);
    });
    assert(uv_poll_init(ffi.getCurrentEventLoop(), this.#handle, fd) === 0, `uv_poll_init of descriptor ${fd}`);
    assert(uv_poll_start(this.#handle, UV_READABLE, this.#callback) === 0, "uv_poll_start");
    // While node tears itself down it turns the loop once more, and JavaScript must not be entered then.
    process.once("exit", this.#stop);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop();
    process.removeListener("exit", this.#stop);
    native().uv_close(this.#handle, null);
    // libuv lets go of the handle at the end of this turn; the second immediate is in a later one.
    setImmediate(() => setImmediate(() => this.#free()));
  }

  #free(): void {
    native().lib.unregisterCallback(this.#callback);
    native().free(this.#handle);
  }
}

// --- Passing descriptors (unix(7), SCM_RIGHTS) -------------------------------

/** Two connected stream sockets. Both are closed on exec unless given to a child as `stdio`. */
export function socketPair(): [number, number] {
  const pair = new Int32Array(2);
  const result = native().socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
  assert(result === 0, `socketpair: ${result === 0 ? "" : errnoName()}`);
  return [pair[0]!, pair[1]!];
}

/** Sends `data` (1 to 4,096 octets), and a copy of `descriptor` with it where one is given. */
export function sendDescriptor(socket: number, descriptor: number | undefined, data = Uint8Array.of(0)): void {
  assert(data.length > 0 && data.length <= MAX_DESCRIPTOR_DATA, "data beside a descriptor");
  const message = new Message(data);
  if (descriptor !== undefined) message.attach(descriptor);
  const sent = native().sendmsg(socket, message.header, MSG_NOSIGNAL);
  if (sent !== data.length) throw new Error(`a descriptor could not be sent: ${sent < 0 ? errnoName() : "cut short"}`);
}

/** Waits for what `sendDescriptor` sent. `data` is empty when the other end was closed instead. */
export async function receiveDescriptor(socket: number): Promise<{ descriptor: number | undefined; data: Uint8Array }> {
  await readable(socket);
  const data = new Uint8Array(MAX_DESCRIPTOR_DATA);
  const message = new Message(data);
  message.allowControl();
  const length = native().recvmsg(socket, message.header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (length < 0) throw new Error(`no descriptor could be received: ${errnoName()}`);
  return { descriptor: message.descriptor(), data: data.subarray(0, length) };
}

function readable(fd: number): Promise<void> {
  return new Promise((resolve) => {
    const poll = new Poll(fd, () => {
      poll.close();
      resolve();
    });
  });
}

/** `struct msghdr` with one iovec and room for one descriptor. */
class Message {
  readonly header = new Uint8Array(56);
  readonly #iovec = new Uint8Array(16);
  readonly #control = new Uint8Array(24);
  readonly #data: Uint8Array;

  constructor(data: Uint8Array) {
    this.#data = data;
    const iovec = new DataView(this.#iovec.buffer);
    iovec.setBigUint64(0, ffi.getRawPointer(data), true);
    iovec.setBigUint64(8, BigInt(this.#data.length), true);
    const header = new DataView(this.header.buffer);
    header.setBigUint64(16, ffi.getRawPointer(this.#iovec), true);
    header.setBigUint64(24, 1n, true);
    header.setBigUint64(32, ffi.getRawPointer(this.#control), true);
  }

  /** An empty control area may be received into, but not sent. */
  allowControl(): void {
    new DataView(this.header.buffer).setBigUint64(40, BigInt(this.#control.length), true);
  }

  attach(descriptor: number): void {
    this.allowControl();
    const control = new DataView(this.#control.buffer);
    control.setBigUint64(0, 20n, true); // cmsg_len: header and one int
    control.setInt32(8, SOL_SOCKET, true);
    control.setInt32(12, SCM_RIGHTS, true);
    control.setInt32(16, descriptor, true);
  }

  descriptor(): number | undefined {
    const control = new DataView(this.#control.buffer);
    const controlLen = new DataView(this.header.buffer).getBigUint64(40, true);
    if (controlLen < 20n || control.getInt32(12, true) !== SCM_RIGHTS) return undefined;
    return control.getInt32(16, true);
  }
}

// --- The process -------------------------------------------------------------

/** Keeps other processes of the same user, and core files, away from this one's memory (prctl(2)). */
export function forbidDumps(): void {
  const result = native().prctl(PR_SET_DUMPABLE, 0n, 0n, 0n, 0n);
  if (result !== 0) throw new Error(`prctl: ${errnoName()}`);
}
